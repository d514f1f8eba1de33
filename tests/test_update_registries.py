"""The tool that writes the registry rows, from files as IANA has them."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from netsuite.ip import _registry_data
from tests.running import ROOT
from tools.update_registries import main, rfc_text

pytestmark = pytest.mark.once

TOOL = ROOT / "tools" / "update_registries.py"
HEADER = (
    "Address Block,Name,RFC,Allocation Date,Termination Date,"
    "Source,Destination,Forwardable,Globally Reachable,Reserved-by-Protocol\n"
)
IPV4 = (
    HEADER
    + '''\
0.0.0.0/8,"""This network""","[RFC791], Section 3.2",1981-09,N/A,True,False,False,False,True
127.0.0.0/8,Loopback,"[RFC1122], Section 3.2.1.3",1981-09,N/A,False [1],False [1],False [1],\
False [1],True
192.0.0.0/24 [2],IETF Protocol Assignments,"[RFC6890], Section 2.1",2010-01,N/A,\
False,False,False,False,False
"192.0.0.170/32, 192.0.0.171/32",NAT64/DNS64 Discovery,"[RFC8880][RFC7050], Section 2.2",\
2013-02,N/A,False,False,False,False,True
192.88.99.0/24,Deprecated (6to4 Relay Anycast),[RFC7526],2001-06,2015-03,,,,,
255.255.255.255/32,Limited Broadcast,"[RFC8190]
        [RFC919], Section 7",1984-10,N/A,False,True,False,False,True
'''
)
IPV6 = (
    HEADER
    + """2001:2::/48,Benchmarking,[RFC5180][RFC Errata 1752],2008-04,N/A,True,True,True,False,False
2002::/16 [3],6to4,[RFC3056],2001-02,N/A,True,True,True,N/A [3],False
"""
)


class Files:
    """The two files that the tool reads, and the one it writes."""

    def __init__(self, directory: Path) -> None:
        self.ipv4, self.ipv6 = directory / "4.csv", directory / "6.csv"
        self.output = directory / "written.py"
        self.ipv4.write_text(IPV4)
        self.ipv6.write_text(IPV6)

    def run(self, date: str = "2025-10-09") -> int:
        """The exit status."""
        return main([f"--date={date}", f"--output={self.output}", str(self.ipv4), str(self.ipv6)])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_rows(files: Files) -> None:
    assert files.run() == 0
    written = runpy.run_path(str(files.output))
    assert written["REGISTRY_DATE"] == "2025-10-09"
    assert written["IPV4_SPECIAL"] == (
        ("0.0.0.0/8", '"This network"', "RFC 791, Section 3.2", "YNNNY"),
        ("127.0.0.0/8", "Loopback", "RFC 1122, Section 3.2.1.3", "NNNNY"),
        ("192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890, Section 2.1", "NNNNN"),
        ("192.0.0.170/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050, Section 2.2", "NNNNY"),
        ("192.0.0.171/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050, Section 2.2", "NNNNY"),
        ("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526", "-----"),
        ("255.255.255.255/32", "Limited Broadcast", "RFC 8190, RFC 919, Section 7", "NYNNY"),
    )
    assert written["IPV6_SPECIAL"] == (
        ("2001:2::/48", "Benchmarking", "RFC 5180, RFC Errata 1752", "YYYNN"),
        ("2002::/16", "6to4", "RFC 3056", "YYY-N"),
    )


def test_the_module_that_is_there_was_written_by_it(files: Files) -> None:
    """Fed with the rows that are there, it writes the same file."""
    words = {"Y": "True", "N": "False", "-": "N/A"}
    for path, rows in (
        (files.ipv4, _registry_data.IPV4_SPECIAL),
        (files.ipv6, _registry_data.IPV6_SPECIAL),
    ):
        lines = [
            ",".join(
                [
                    block,
                    '"' + name.replace('"', '""') + '"',
                    f'"{rfc}"',
                    *("", ""),
                    *(words[letter] for letter in answers),
                ]
            )
            for block, name, rfc, answers in rows
        ]
        path.write_text(HEADER + "\n".join(lines) + "\n")
    assert files.run(_registry_data.REGISTRY_DATE) == 0
    assert files.output.read_text() == Path(_registry_data.__file__).read_text()


def test_references() -> None:
    assert rfc_text("[RFC4193]\n        [RFC8190]") == "RFC 4193, RFC 8190"
    assert rfc_text("[RFC-ietf-pcp-anycast-08]") == "RFC-ietf-pcp-anycast-08"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column Address Block"),
        (HEADER, "no rows"),
        ("Prefix,Designation\n1/8,APNIC\n", "no column Address Block"),
        (HEADER + "10.0.0.1/8,A,B,,,True,True,True,True,True\n", "line 2: 10.0.0.1/8"),
        (HEADER + "2001::/23,A,B,,,True,True,True,True,True\n", "2001::/23 is not of IPv4"),
        (HEADER + "10.0.0.0/8,A,B,,,True,True,maybe,True,True\n", "'maybe': expected True"),
        (HEADER + "10.0.0.0/8,A,B\n", "line 2"),
    ],
)
def test_a_file_that_is_not_one(
    files: Files, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    files.ipv4.write_text(text)
    assert files.run() == 1
    error = capsys.readouterr().err
    assert str(files.ipv4) in error
    assert reason in error
    assert not files.output.exists()


def test_a_date_that_is_not_one(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run('"\nimport os') == 1
    assert "isoformat" in capsys.readouterr().err
    assert not files.output.exists()


def test_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, TOOL, "--help"], capture_output=True, text=True, check=True
    )
    assert "iana-ipv4-special-registry-1.csv" in done.stdout
