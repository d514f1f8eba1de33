"""What a line service has of telnet and SSH."""

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp
from netsuite.line.service import LineConfig, Options, build_service
from netsuite.service import ConfigError, DaemonConfig, StartError
from tests.ssh_peer import ALICE, HOST_KEY, public_line

pytestmark = pytest.mark.once

_numbers = itertools.count()


class FrontCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.reactor = MemoryReactorClock()

    def file(self, name: str, content: str) -> Path:
        path = self.directory / name
        path.write_text(content)
        return path

    @property
    def keys(self) -> dict[str, Any]:
        return {
            "ssh_host_key": (self.file("host", HOST_KEY.toString("openssh").decode()),),
            "ssh_authorized_keys": self.file("authorized", f'user="alice" {public_line(ALICE)}'),
        }

    def config(self, **given: Any) -> LineConfig:
        app = LineApp(f"app{next(_numbers)}")
        return LineConfig(**{"app": app, "listen": (), **given})

    def build(self, **given: Any) -> Any:
        return build_service(self.config(**given), self.reactor)

    def assert_refused(self, text: str, **given: Any) -> None:
        error = self.assertRaises(ConfigError, self.build, **given)
        self.assertIn(text, str(error))


class ConfigTests(FrontCase):
    def test_somewhere_to_listen(self) -> None:
        self.assert_refused("expected an endpoint")
        self.build(telnet=("tcp:2323",))

    def test_what_ssh_needs(self) -> None:
        self.assert_refused("expected ssh-host-key too", ssh=("tcp:2222",))
        host = {"ssh_host_key": self.keys["ssh_host_key"]}
        self.assert_refused("nobody could come in", ssh=("tcp:2222",), **host)
        self.build(ssh=("tcp:2222",), **self.keys)

    def test_files_that_cannot_be_used(self) -> None:
        keys, wrong = self.keys, self.file("wrong", "nonsense")
        for name, value, text in (
            ("ssh_host_key", (wrong,), "expected a private key"),
            ("ssh_host_key", (self.directory / "none",), "No such file"),
            ("ssh_authorized_keys", wrong, "line 1"),
        ):
            self.assert_refused(text, ssh=("tcp:2222",), **{**keys, name: value})

    def test_an_application_that_is_served_twice(self) -> None:
        app = LineApp("twice")
        for given in ({"telnet": ("tcp:1",)}, {"ssh": ("tcp:2",), **self.keys}):
            self.build(app=app, **given)


class ServiceTests(FrontCase):
    def listening(self, **given: Any) -> list[str]:
        service = self.build(**given)
        service.privilegedStartService()
        self.addCleanup(service.stopService)
        self.service = service
        return [f"{each.name} {each.endpoint} {each.tls}" for each in service.listening]

    def test_each_on_its_own_endpoints(self) -> None:
        found = self.listening(
            listen=("tcp:1:interface=127.0.0.1",),
            telnet=("tcp:2:interface=127.0.0.1", "tcp:3:interface=127.0.0.1"),
            ssh=("tcp:4:interface=127.0.0.1",),
            **self.keys,
        )
        names = [each.split(":")[0] for each in found]
        self.assertEqual(names, ["line tcp", "telnet tcp", "telnet tcp", "ssh tcp"])

    def test_silence_is_the_same_for_all(self) -> None:
        self.listening(telnet=("tcp:1",), ssh=("tcp:2",), **self.keys)
        self.assertEqual(self.service.telnet.sessions.idle, 300.0)
        self.assertEqual(self.service.ssh.sessions.idle, 300.0)
        service = self.build(
            telnet=("tcp:1",), ssh=("tcp:2",), daemon=DaemonConfig(idle_timeout=5.0), **self.keys
        )
        self.assertEqual((service.telnet.sessions.idle, service.ssh.sessions.idle), (None, None))

    def test_a_host_key_is_made_when_it_starts(self) -> None:
        keys = {**self.keys, "ssh_host_key": (self.directory / "new",)}
        service = self.build(ssh=("tcp:1",), ssh_generate_host_key=True, **keys)
        self.assertFalse((self.directory / "new").exists())
        service.privilegedStartService()
        self.assertTrue((self.directory / "new").exists())
        service.stopService()

    def test_how_to_talk_to_each(self) -> None:
        self.listening(telnet=("tcp:1",), ssh=("tcp:2:interface=127.0.0.1",), **self.keys)
        with capturedLogs() as events:
            self.service.announced()
        said = [str(each["command"]) for each in events if "command" in each]
        self.assertEqual(said, ["telnet localhost 1", "ssh -p 2 localhost"])

    def test_a_host_key_that_cannot_be_written(self) -> None:
        keys = {**self.keys, "ssh_host_key": (self.directory / "none" / "new",)}
        service = self.build(ssh=("tcp:1",), ssh_generate_host_key=True, **keys)
        self.assertRaises(StartError, service.privilegedStartService)

    def test_users_of_a_password_file_come_in_by_ssh(self) -> None:
        passwords = self.file("passwords", "bob:secret:admin\n")
        host = {"ssh_host_key": self.keys["ssh_host_key"]}
        service = self.build(ssh=("tcp:1",), password_file=passwords, **host)
        _, user, _ = service.ssh.portal.realm.requestAvatar(b"bob", None)
        self.assertEqual(user.roles, {"admin"})
        self.assertEqual(len(service.ssh.portal.listCredentialsInterfaces()), 1)


class OptionsTests(FrontCase):
    def options(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions([*arguments, "--app=echo"])
        return options

    def test_endpoints(self) -> None:
        keys = self.keys
        options = self.options(
            *("--telnet=tcp:1", "--telnet=tcp:2", "--ssh=tcp:3"),
            f"--ssh-host-key={keys['ssh_host_key'][0]}",
            f"--ssh-authorized-keys={keys['ssh_authorized_keys']}",
        )
        self.assertEqual(options.config.listen, ())
        expected = [("telnet", ("tcp:1", "tcp:2")), ("ssh", ("tcp:3",))]
        self.assertEqual(options.listeners(), expected)
        self.assertEqual(options.config.ssh_host_key, (keys["ssh_host_key"][0].resolve(),))

    def test_plain_lines_too_where_they_are_asked_for(self) -> None:
        options = self.options("--telnet=tcp:1", "--port=9005")
        self.assertEqual(options.config.listen, ("dualstack:9005",))
        self.assertEqual(self.options().listeners(), [("line", ("dualstack:9001",))])
