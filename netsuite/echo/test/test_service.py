from pathlib import Path
from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite.echo import EchoFactory
from netsuite.echo._wire import QUOTES
from netsuite.echo.service import (
    SERVICES,
    EchoConfig,
    Options,
    ServiceConfig,
    build_service,
)
from netsuite.service import ConfigError, DaemonConfig


class OptionsTests(SynchronousTestCase):
    def config(self, *arguments: str, **environ: str) -> EchoConfig:
        options = Options(environ)
        options.parseOptions(arguments)
        return options.config

    def test_defaults_are_the_config_s_own(self) -> None:
        self.assertEqual(self.config(), EchoConfig())
        self.assertEqual(self.config().services[0].listen, ("dualstack:9000",))

    def test_each_service_has_its_own_listen(self) -> None:
        config = self.config(
            "--service=echo", "--port=7", "--service=time", "--port=37", "--listen=unix:/run/time"
        )
        self.assertEqual(
            config.services,
            (
                ServiceConfig(service="echo", listen=("dualstack:7",)),
                ServiceConfig(service="time", listen=("dualstack:37", "unix:/run/time")),
            ),
        )

    def test_one_service_takes_what_came_before_it(self) -> None:
        self.assertEqual(
            self.config("--port=19", "--service=chargen").services,
            (ServiceConfig(service="chargen", listen=("dualstack:19",)),),
        )

    def test_the_rest(self) -> None:
        path = Path(self.mktemp())
        path.write_text("one\n%\ntwo\n")
        config = self.config("--udp", "--udp-rate=0.5", f"--quotes={path}", "--drain-timeout=1")
        self.assertEqual((config.udp, config.udp_rate), (True, 0.5))
        self.assertEqual(config.quotes, (b"one\r\n", b"two\r\n"))
        self.assertEqual(config.daemon, DaemonConfig(drain_timeout=1))

    def test_variables(self) -> None:
        config = self.config(
            NETSUITE_SERVICE="time", NETSUITE_PORT="37", NETSUITE_UDP="1", NETSUITE_UDP_RATE="5"
        )
        time = ServiceConfig(service="time", listen=("dualstack:37",))
        self.assertEqual(config, EchoConfig(services=(time,), udp=True, udp_rate=5))

    def test_a_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("service = 'time'\nport = 37\nudp = true\nmax-per-client = 5\n")
        time = ServiceConfig(service="time", listen=("dualstack:37",))
        daemon = DaemonConfig(max_per_client=5)
        self.assertEqual(
            self.config(f"--config={path}"),
            EchoConfig(services=(time,), udp=True, daemon=daemon),
        )
        self.assertEqual(
            self.config(f"--config={path}", "--service=echo").services,
            (ServiceConfig(service="echo", listen=("dualstack:37",)),),
        )

    def test_several_services_by_flags_have_their_own_ports(self) -> None:
        config = self.config(
            "--service=echo",
            "--port=7",
            "--service=time",
            "--listen=unix:/t",
            NETSUITE_PORT="99",
            NETSUITE_INTERFACE="127.0.0.1",
        )
        self.assertEqual(
            [each.listen for each in config.services],
            [("tcp:7:interface=127.0.0.1",), ("unix:/t",)],
        )

    def test_mistakes_in_a_file_have_its_line(self) -> None:
        path = Path(self.mktemp())
        for text, complaint in [
            ("\nservice = 'ekho'", "line 2: service 'ekho': expected one of echo, discard"),
            ("udp-rate = 0", "line 1: udp-rate 0: expected more than 0 a second"),
            ("quotes = '/nowhere'", "line 1: quotes /nowhere: No such file"),
            ("listen = 'unix:/x'\ninterface = '::1'", "line 2: interface goes with --port"),
        ]:
            path.write_text(text)
            error = self.assertRaises(usage.UsageError, self.config, f"--config={path}")
            self.assertTrue(str(error).startswith(f"{path}, {complaint}"), str(error))

    def test_checked(self) -> None:
        options = Options({})
        options.parseOptions(["--service=echo", "--port=7", "--service=time", "--port=37"])
        self.assertEqual(
            options.checked(), "configuration ok: echo on dualstack:7; time on dualstack:37\n"
        )
        self.assertIn('# time: ["dualstack:37"]\n', options.effective())
        options = Options({})
        options.parseOptions(["--port=7", "--service=time"])
        self.assertIn('listen = ["dualstack:7"]  # --port\nservice = "time"', options.effective())

    def test_reload(self) -> None:
        path = Path(self.mktemp())
        path.write_text("udp = false")
        options = Options({})
        options.parseOptions([f"--config={path}"])
        path.write_text("udp = true\nport = 7\nmax-per-client = 5")
        self.assertEqual(options.reload(), DaemonConfig(max_per_client=5))
        self.assertEqual(options.needs_restart, ("listen", "udp"))

    MISTAKES: ClassVar = [
        (["--service=ekho"], "'ekho'"),
        (["--service=echo", "--port=7", "--service=time"], "--service time: expected --port"),
        (["--udp-rate=fast"], "--udp-rate: 'fast' is not a number"),
        (["--udp-rate=0"], "UDP rate 0: expected more than 0"),
        (["--udp-rate=nan"], "--udp-rate: 'nan' is not a finite number: expected"),
        (["--udp-rate=inf"], "--udp-rate: 'inf' is not a finite number: expected"),
        (["--quotes=/nowhere"], "--quotes /nowhere: No such file"),
        (["--drain-timeout=-1"], "--drain-timeout: '-1' is less than 0: expected seconds"),
    ]

    def test_mistakes_are_named(self) -> None:
        for arguments, named in self.MISTAKES:
            with self.assertRaises(usage.UsageError) as caught:
                self.config(*arguments)
            self.assertIn(named, str(caught.exception))

    def test_a_file_of_bad_quotes(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"\xff\xfe")
        with self.assertRaises(usage.UsageError) as caught:
            self.config(f"--quotes={path}")
        self.assertIn(str(path), str(caught.exception))


class ConfigTests(SynchronousTestCase):
    def test_what_cannot_be(self) -> None:
        for make in (
            lambda: EchoConfig(services=()),
            lambda: EchoConfig(quotes=()),
            lambda: EchoConfig(udp_rate=-1),
            lambda: ServiceConfig(service="finger"),
            lambda: ServiceConfig(listen=()),
        ):
            with self.assertRaises(ConfigError) as caught:
                make()
            self.assertIn("expected", str(caught.exception))


class BuildServiceTests(SynchronousTestCase):
    def test_a_programmer_builds_the_same_service(self) -> None:
        reactor = MemoryReactorClock()
        config = EchoConfig(
            services=tuple(
                ServiceConfig(service=name, listen=(f"tcp:{9000 + number}",))
                for number, name in enumerate(SERVICES)
            )
        )
        service = build_service(config, reactor)
        self.assertTrue(IService.providedBy(service))
        self.assertEqual(tuple(service.counters), SERVICES)
        service.startService()
        self.assertEqual([server[0] for server in reactor.tcpServers], list(range(9000, 9006)))
        self.successResultOf(service.stopService())

    def test_a_service_that_comes_twice_is_counted_once(self) -> None:
        reactor = MemoryReactorClock()
        echo = [ServiceConfig(listen=(f"tcp:{port}",)) for port in (9000, 9001)]
        service = build_service(EchoConfig(services=tuple(echo)), reactor)
        service.startService()
        factories = {server[1].wrapped for server in reactor.tcpServers}  # type: ignore[attr-defined]  # ours
        [factory] = factories
        self.assertIsInstance(factory, EchoFactory)
        self.assertIs(service.counters["echo"], factory.counters)

    def test_an_endpoint_that_cannot_work(self) -> None:
        with self.assertRaises(ConfigError):
            build_service(
                EchoConfig(services=(ServiceConfig(listen=("ftp:21",)),)), MemoryReactorClock()
            )

    def test_quotes_have_a_default(self) -> None:
        self.assertEqual(EchoConfig().quotes, QUOTES)
