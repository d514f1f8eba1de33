from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._snapshot import Snapshot


class SnapshotTests(SynchronousTestCase):
    def file(self, data: bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(data)
        return path

    def test_what_was_read_is_handed_over(self) -> None:
        path = self.file(b"before \xff")
        ours, theirs = Snapshot(), Snapshot()
        self.assertEqual(ours.read(path), b"before \xff")
        path.write_bytes(b"after")
        theirs.take_over(ours.handed_over())
        self.assertEqual(theirs.read(path), b"before \xff")
        path.unlink()
        self.assertEqual(theirs.read(path), b"before \xff")

    def test_others_are_read_from_the_disk(self) -> None:
        ours, theirs = Snapshot(), Snapshot()
        theirs.take_over(ours.handed_over())
        self.assertEqual(theirs.read(self.file(b"12345"), 3), b"123")
        with self.assertRaises(FileNotFoundError):
            theirs.read(Path("nowhere/at/all"))

    def test_from_the_beginning_all_are_read_anew(self) -> None:
        path = self.file(b"before")
        ours, theirs = Snapshot(), Snapshot()
        ours.read(path)
        theirs.take_over(ours.handed_over())
        path.write_bytes(b"after")
        theirs.begin()
        self.assertEqual(theirs.read(path), b"after")
        ours.begin()
        late = Snapshot()
        late.take_over(ours.handed_over())
        self.assertEqual(late.read(path), b"after", "nothing is left of what was read")
