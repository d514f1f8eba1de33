import ctypes

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import _heap


class HeapTests(SynchronousTestCase):
    def test_glibc_is_told(self) -> None:
        calls: list[tuple[int, int]] = []

        class Library:
            def mallopt(self, option: int, value: int) -> int:
                calls.append((option, value))
                return 1

        self.patch(ctypes, "CDLL", lambda name: Library())
        self.assertTrue(_heap.keep_spare_memory())
        self.assertEqual(calls, [(-2, 1024 * 1024)])

    def test_another_c_library_is_left_alone(self) -> None:
        self.patch(ctypes, "CDLL", lambda name: object())
        self.assertFalse(_heap.keep_spare_memory())
