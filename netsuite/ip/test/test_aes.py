from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._aes import _SUBSTITUTE, AES128, _expand


class AES128Tests(SynchronousTestCase):
    def test_example_of_fips_197_appendix_b(self) -> None:
        key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        block = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
        self.assertEqual(AES128(key).encrypt(block).hex(), "3925841d02dc09fbdc118597196a0b32")

    def test_vector_of_fips_197_appendix_c_1(self) -> None:
        key = bytes(range(16))
        block = bytes(range(0, 256, 17))
        self.assertEqual(AES128(key).encrypt(block).hex(), "69c4e0d86a7b0430d8cdb78070b4c55a")

    def test_key_expansion_of_fips_197_appendix_a_1(self) -> None:
        keys = _expand(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
        self.assertEqual(len(keys), 11)
        self.assertEqual(keys[1][0], 0xA0FAFE17)
        self.assertEqual(keys[9], (0xAC7766F3, 0x19FADC21, 0x28D12941, 0x575C006E))
        self.assertEqual(keys[10], (0xD014F9A8, 0xC9EE2589, 0xE13F0CC8, 0xB6630CA6))

    def test_vectors_of_sp_800_38a_f_1_1(self) -> None:
        cipher = AES128(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
        for block, encrypted in (
            ("6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
            ("ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
            ("30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
            ("f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
        ):
            self.assertEqual(cipher.encrypt(bytes.fromhex(block)).hex(), encrypted)

    def test_substitution_is_a_permutation(self) -> None:
        self.assertEqual(sorted(_SUBSTITUTE), list(range(256)))
        self.assertEqual((_SUBSTITUTE[0], _SUBSTITUTE[0x53], _SUBSTITUTE[255]), (0x63, 0xED, 0x16))

    def test_key_of_another_length(self) -> None:
        for size in (0, 15, 17, 32):
            with self.assertRaises(ValueError) as caught:
                AES128(b"k" * size)
            self.assertEqual(str(caught.exception), f"a key of {size} octets: expected 16")
