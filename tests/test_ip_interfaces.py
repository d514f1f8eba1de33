"""What this machine says of its interfaces, against what ``ip`` says."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any

import pytest

from netsuite.ip import _interfaces
from netsuite.ip._interfaces import Interface, interfaces
from tests.running import PATIENCE, environment

pytestmark = pytest.mark.once

SHOW = (
    "from netsuite.ip._interfaces import interfaces\n"
    "for each in interfaces():\n"
    "    print((each.name, each.index, str(each.mac), sorted(each.flags), each.mtu,\n"
    "           [str(address) for address in each.addresses]))\n"
)
SETUP = """\
set -e
ip link set lo up
ip link add one address 02:00:00:00:00:01 type veth peer name two address 02:00:00:00:00:02
ip link set one mtu 1300 up
ip addr add 192.0.2.1/24 dev one
ip addr add 198.51.100.1 peer 198.51.100.2/32 dev one
ip addr add 2001:db8::1/64 dev one nodad
ip addr add fe80::7/64 dev one nodad
ip addr add 2001:db8:1::1 peer 2001:db8:1::2/128 dev two nodad
"""


def ip_json(*words: str) -> list[dict[str, Any]]:
    """What ``ip -json addr`` says."""
    done = subprocess.run(["ip", "-json", *words], capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def by_ip(link: dict[str, Any]) -> tuple[object, ...]:
    """The same facts as :func:`by_us`, from ``ip``."""
    addresses = []
    for each in link["addr_info"]:
        zone = f"%{link['ifname']}" if each["local"].startswith("fe80:") else ""
        addresses.append(ip_interface(f"{each['local']}{zone}/{each['prefixlen']}"))
    flags = set(link["flags"]) - {"NO-CARRIER"}  # which is the absence of one
    return link["ifname"], link["ifindex"], link["mtu"], link["address"], flags, addresses


def by_us(interface: Interface) -> tuple[object, ...]:
    # RUNNING is what ip leaves out.
    flags = set(interface.flags) - {"RUNNING"}
    mac = str(interface.mac)
    return interface.name, interface.index, interface.mtu, mac, flags, list(interface.addresses)


@pytest.fixture
def ip() -> None:
    if not shutil.which("ip"):
        pytest.fail("ip is missing: install iproute2")


@pytest.mark.usefixtures("ip")
def test_this_machine() -> None:
    links = [link for link in ip_json("addr") if len(link.get("address", "").split(":")) == 6]
    assert links
    ours = {interface.index: by_us(interface) for interface in interfaces()}
    for link in links:
        assert ours[link["ifindex"]] == by_ip(link)
    assert len(ours) == len(ip_json("link"))


@pytest.mark.usefixtures("ip")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
def test_a_network_namespace() -> None:
    script = f'{SETUP}exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, sys.executable, SHOW],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        name, _, *rest = ast.literal_eval(line)
        found[name] = rest
    mac, flags, mtu, addresses = found["one"]
    assert (mac, mtu) == ("02:00:00:00:00:01", 1300)
    assert {"UP", "BROADCAST", "MULTICAST"} <= set(flags)
    assert {"192.0.2.1/24", "198.51.100.1/32", "2001:db8::1/64", "fe80::7%one/64"} <= {*addresses}
    mac, flags, mtu, addresses = found["two"]
    assert (mac, mtu, addresses) == ("02:00:00:00:00:02", 1500, ["2001:db8:1::1/128"])
    assert "UP" not in flags
    assert found["lo"][3] == ["127.0.0.1/8", "::1/128"]


@pytest.mark.usefixtures("ip")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")
def test_many_interfaces() -> None:
    """More than one read of the socket has to say."""
    script = 'i=0; while [ $i -lt 150 ]; do echo "link add v$i type veth peer name w$i"; '
    script += 'i=$((i+1)); done | ip -batch - && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, sys.executable, SHOW],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = {ast.literal_eval(line)[0] for line in done.stdout.splitlines()}
    assert {f"{letter}{number}" for letter in "vw" for number in range(150)} <= names


def test_where_there_is_no_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    found = interfaces()
    assert [(each.index, each.name) for each in found] == sorted(socket.if_nameindex())
    assert all(each == Interface(each.name, each.index) for each in found)


@pytest.mark.parametrize("interrupted", [0, 1, _interfaces.MAX_TRIES - 1, _interfaces.MAX_TRIES])
def test_changes_under_way(interrupted: int) -> None:
    """A dump that the kernel marks as interrupted is asked for again, so many times."""
    requests = []

    class Netlink:
        def sendto(self, data: bytes, address: tuple[int, int]) -> None:
            requests.append(data)

        def recvmsg(self, size: int) -> tuple[bytes, list[object], int, tuple[int, int]]:
            flags = 0x10 if len(requests) <= interrupted else 0
            header = _interfaces._HEADER.pack(16, 3, flags, len(requests), 0)
            return header, [], 0, (0, 0)

    netlink: Any = Netlink()
    if interrupted < _interfaces.MAX_TRIES:
        assert len(_interfaces._dump(netlink, 18, iter(range(1, 100)))) == 1
        assert len(requests) == interrupted + 1
    else:
        with pytest.raises(OSError, match="changed 5 times"):
            _interfaces._dump(netlink, 18, iter(range(1, 100)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((b"", [], socket.MSG_TRUNC, (0, 0)), "more to say"),
        ((_interfaces._HEADER.pack(20, 2, 0, 1, 0) + b"\xff\xff\xff\xff", [], 0, (0, 0)), "perm"),
        ((b"x" * (_interfaces.MAX_ANSWER + 1), [], 0, (0, 0)), "more to say"),
    ],
)
def test_answers_that_are_none(answer: tuple[object, ...], said: str) -> None:
    class Netlink:
        def recvmsg(self, size: int) -> tuple[object, ...]:
            return answer

    netlink: Any = Netlink()
    with pytest.raises(OSError, match=f"(?i){said}"):
        list(_interfaces._answers(netlink, 1))


def test_answers_to_others_and_of_others() -> None:
    pack = _interfaces._HEADER.pack
    answers: Iterator[tuple[object, ...]] = iter(
        [
            (pack(16, 3, 0, 1, 0), [], 0, (4711, 0)),  # not the kernel
            (pack(16, 16, 0, 9, 0) + pack(16, 3, 0, 9, 0), [], 0, (0, 0)),  # another request
            (pack(16, 3, 0, 1, 0), [], 0, (0, 0)),
        ]
    )

    class Netlink:
        def recvmsg(self, size: int) -> tuple[object, ...]:
            return next(answers)

    netlink: Any = Netlink()
    [done] = _interfaces._answers(netlink, 1)
    assert done.sequence == 1
    assert next(answers, None) is None


def test_from_many_threads() -> None:
    found: list[tuple[Interface, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(interfaces())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 8
    assert len(set(found)) == 1
