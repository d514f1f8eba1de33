import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.application.service import Application, IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, Logger, formatEvent, globalLogPublisher
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import (
    ConfigError,
    DaemonConfig,
    ServerOptions,
    StartError,
    _process,
    process_service,
)
from netsuite.service._log_destination import LogDestination, log_to
from netsuite.service._process import ProcessService


class FakeDaemon:
    def __init__(self) -> None:
        self.aborted = 0
        self.active = 3
        self.started: list[str] = []
        self.stopped: Deferred[None] = Deferred()
        self.on_drain: Any = None
        self.drain_timeout = 10.0
        self.log_level = "info"
        self.prepared: list[Any] = []
        self.committed = self.failed = self.reopened = 0
        self.daemons = (self,)
        self.error: Exception | None = None

    def privilegedStartService(self) -> None:
        if self.error is not None:
            raise self.error
        self.started.append("privileged")

    def startService(self) -> None:
        self.started.append("start")

    def stopService(self) -> Deferred[None]:
        return self.stopped

    def abort(self) -> None:
        self.aborted += self.active

    def prepare(self, config: Any) -> Any:
        self.prepared.append(config)
        return self.commit

    def commit(self) -> None:
        self.committed += 1

    def reload_failed(self) -> None:
        self.failed += 1

    def reopen_logs(self) -> None:
        self.reopened += 1


class Reactor(MemoryReactorClock):
    _exitSignal: int | None = None
    stops = 0

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        function(*arguments)

    def stop(self) -> None:
        self.stops += 1


class ProcessServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.handlers: dict[int, Any] = {}
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.patch(sys, "excepthook", sys.excepthook)
        self.reactor = Reactor()
        self.daemon = FakeDaemon()
        self.service = ProcessService("test", self.daemon, LogDestination(None), self.reactor)

    def start(self) -> None:
        self.service.privilegedStartService()
        self.service.startService()

    def receive(self, number: int) -> None:
        self.handlers[number](number, None)

    def test_it_takes_the_signals_before_and_after_the_reactor_does(self) -> None:
        self.start()
        self.assertEqual(set(self.handlers), {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        self.handlers.clear()
        for hook, arguments, keywords in self.reactor.whenRunningHooks:
            hook(*arguments, **keywords)
        self.assertEqual(set(self.handlers), {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

    def test_it_listens_once_whether_it_is_told_to_or_not(self) -> None:
        self.service.startService()  # that is all that twist says
        self.assertEqual(self.daemon.started, ["privileged", "start"])
        self.setUp()
        self.start()
        self.assertEqual(self.daemon.started, ["privileged", "start"])

    def test_one_signal_drains_and_ends_with_status_0(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.setUp()
            self.start()
            self.receive(number)
            self.assertEqual(self.reactor.stops, 1)
            stopped = self.service.stopService()
            self.assertNoResult(stopped)
            self.daemon.stopped.callback(None)
            self.successResultOf(stopped)
            self.assertIsNone(self.reactor._exitSignal)

    def test_a_second_signal_cuts(self) -> None:
        self.start()
        self.receive(signal.SIGTERM)
        stopped = self.service.stopService()
        self.receive(signal.SIGINT)
        self.assertEqual((self.reactor.stops, self.daemon.aborted), (1, 3))
        self.daemon.stopped.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor._exitSignal, signal.SIGINT)

    def test_a_drain_that_had_to_cut_ends_by_the_signal(self) -> None:
        self.start()
        self.receive(signal.SIGTERM)
        stopped = self.service.stopService()
        self.daemon.aborted = 1
        self.daemon.stopped.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor._exitSignal, signal.SIGTERM)

    def test_a_stop_that_no_signal_asked_for_has_no_status_of_its_own(self) -> None:
        self.start()
        stopped = self.service.stopService()
        self.daemon.aborted = 1
        self.daemon.stopped.callback(None)
        self.successResultOf(stopped)
        self.assertIsNone(self.reactor._exitSignal)

    def test_a_signal_while_somebody_else_stops_the_reactor(self) -> None:
        self.start()
        self.reactor.stop = mock.Mock(side_effect=ReactorNotRunning)  # type: ignore[method-assign]  # for once
        self.receive(signal.SIGTERM)
        self.assertEqual(self.daemon.aborted, 0)

    def test_a_failed_start_is_one_line(self) -> None:
        self.daemon.error = StartError("cannot listen on tcp:7: permission denied")
        output = StringIO()
        self.patch(sys, "__stderr__", output)
        with self.assertRaises(StartError) as caught:
            self.service.privilegedStartService()
        sys.excepthook(StartError, caught.exception, None)
        self.assertEqual(
            output.getvalue(), "netsuite-test: cannot listen on tcp:7: permission denied\n"
        )

    def test_a_failed_start_is_in_the_log_too_unless_that_is_on_the_same_screen(self) -> None:
        for on_screen, logged in [(True, 0), (False, 1)]:
            events: list[Any] = []
            observer: Any = events.append
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
            destination = LogDestination()
            destination.on_screen = on_screen
            self.daemon.error = StartError("no port")
            service = ProcessService("test", self.daemon, destination, self.reactor)
            self.assertRaises(StartError, service.privilegedStartService)
            self.assertEqual(len([each for each in events if each.get("reason")]), logged)

    def test_other_errors_keep_their_traceback(self) -> None:
        previous = mock.Mock()
        hook = _process._one_line_hook("test", previous)
        error = RuntimeError("a bug")
        hook(RuntimeError, error, None)
        previous.assert_called_once_with(RuntimeError, error, None)

    def test_the_application_gets_the_observer(self) -> None:
        observer = mock.Mock()
        destination = LogDestination(observer)
        service = ProcessService("test", self.daemon, destination, self.reactor)
        application = Application("test")
        service.setServiceParent(application)
        self.assertIs(ILogObserver(application), destination.observer)
        self.assertEqual(list(IServiceCollection(application)), [service])


class FakeOptions:
    """What reads the configuration anew."""

    needs_restart: tuple[str, ...] = ()
    error: Exception | None = None

    def reload(self) -> str:
        if self.error is not None:
            raise self.error
        return "a new configuration"


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.handlers: dict[int, Any] = {}
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.daemon = FakeDaemon()
        self.options = FakeOptions()
        self.sent: list[str] = []
        notify: Any = mock.Mock()
        notify.ready = lambda status: self.sent.append(f"ready {status}")
        notify.reloading = lambda: self.sent.append("reloading")
        reactor = Reactor()
        self.service = ProcessService(
            "test",
            self.daemon,
            LogDestination(),
            reactor,
            options=self.options,  # type: ignore[arg-type]  # enough of them
            notify=notify,
        )
        self.service.privilegedStartService()
        self.service.startService()

    def hang_up(self) -> None:
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)

    def messages(self) -> list[str]:
        return [formatEvent(each) or "" for each in self.events]

    def test_sighup_reloads_and_opens_logs_again(self) -> None:
        self.hang_up()
        self.assertEqual(self.daemon.prepared, ["a new configuration"])
        self.assertEqual((self.daemon.committed, self.daemon.reopened), (1, 1))
        self.assertIn("reloaded", self.messages())
        self.assertEqual(self.sent, ["reloading", "ready test: serving"])

    def test_what_needs_a_restart_is_named(self) -> None:
        self.options.needs_restart = ("listen", "workers")
        self.hang_up()
        self.assertIn("needs a restart to change: listen, workers", self.messages())

    def test_a_bad_file_changes_nothing_and_is_named(self) -> None:
        self.options.error = ConfigError("x.toml, line 3: rate: 'fast' is not a number")
        self.hang_up()
        self.assertEqual((self.daemon.prepared, self.daemon.failed), ([], 1))
        self.assertIn(
            "not reloaded: x.toml, line 3: rate: 'fast' is not a number; nothing has changed",
            self.messages(),
        )
        self.assertIn("not reloaded", self.sent[-1])
        self.assertEqual(self.daemon.reopened, 1, "logs are another matter")

    def test_not_while_it_ends(self) -> None:
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        self.hang_up()
        self.assertEqual(self.daemon.prepared, [])

    def test_a_terminal_that_is_gone_ends_it(self) -> None:
        self.patch(_process, "terminal_is_gone", lambda: True)
        self.hang_up()
        self.assertEqual(self.daemon.prepared, [])
        self.assertIn("SIGHUP: stopping; a second signal ends at once", self.messages())


class Options(ServerOptions):
    service_name = "test"


class ObserverTests(SynchronousTestCase):
    """Where the log goes, by what twistd was told."""

    def setUp(self) -> None:
        self.patch(signal, "signal", lambda number, handler: None)

    def observer(self, config: DaemonConfig, **twistd: object) -> Any:
        return log_to(config, twistd, Reactor()).observer

    def test_the_foreground_logs_to_standard_output(self) -> None:
        for logfile in (None, "-"):
            output = StringIO()
            self.patch(sys, "stdout", output)
            observer = self.observer(DaemonConfig(log_format="json"), nodaemon=1, logfile=logfile)
            Logger("n", observer=observer).info("hello")
            self.assertIn('"message": "hello"', output.getvalue())

    def test_a_file(self) -> None:
        path = Path(self.mktemp())
        observer = self.observer(DaemonConfig(log_level="warn"), nodaemon=0, logfile=str(path))
        Logger("n", observer=observer).info("hello")
        Logger("n", observer=observer).warn("watch out")
        self.assertIn("watch out", path.read_text())
        self.assertNotIn("hello", path.read_text())

    def test_sigusr1_rotates(self) -> None:
        handlers: dict[int, Any] = {}
        self.patch(signal, "signal", handlers.__setitem__)
        self.patch(signal, "getsignal", lambda number: signal.SIG_DFL)
        path = Path(self.mktemp())
        observer = self.observer(DaemonConfig(), nodaemon=1, logfile=str(path))
        Logger("n", observer=observer).info("before")
        handlers[signal.SIGUSR1](signal.SIGUSR1, None)
        Logger("n", observer=observer).info("after")
        self.assertIn("after", path.read_text())
        self.assertIn("before", path.with_name(path.name + ".1").read_text())

    def test_a_logger_of_the_operator_s_own_is_left_alone(self) -> None:
        self.assertIsNone(self.observer(DaemonConfig(), logger=object()))

    def test_what_cannot_be_is_a_config_error(self) -> None:
        for config, twistd in [
            (DaemonConfig(log_format="json"), {"syslog": 1}),
            (DaemonConfig(), {"nodaemon": 0, "logfile": "-"}),
            (DaemonConfig(), {"nodaemon": 1, "logfile": "/nowhere/at/all"}),
        ]:
            with self.assertRaises(ConfigError):
                self.observer(config, **twistd)  # type: ignore[arg-type]  # twistd's own

    def test_a_config_error_ends_the_program_with_one_line(self) -> None:
        options = Options()
        options.parent = usage.Options()
        output = StringIO()
        self.patch(sys, "stderr", output)

        def build() -> Any:
            raise ConfigError("cannot listen on 'x': no\nsuch thing")

        with self.assertRaises(SystemExit) as caught:
            process_service(options, DaemonConfig(), build, Reactor())
        self.assertEqual(caught.exception.code, 2)
        self.assertEqual(output.getvalue(), "netsuite-test: cannot listen on 'x': no such thing\n")
