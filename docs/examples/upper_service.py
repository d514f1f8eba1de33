"""The upper-case protocol as a service: the options of every netsuite daemon, and twistd."""

from twisted.application.service import IService
from upper import UpperFactory  # type: ignore[import-not-found]  # beside this file

from netsuite.service import Daemon, DaemonConfig, Listener, ServerOptions, process_service


class Options(ServerOptions):
    """The command line of ``netsuite upper``."""

    service_name = "upper"
    default_port = 9000
    longdesc = "Sends text back in upper case."

    endpoints: tuple[str, ...]
    config: DaemonConfig

    def postOptions(self) -> None:
        """Make data of what was given."""
        self.endpoints = self.listen.endpoints(self.default_port)
        self.config = self.daemon_config()


def makeService(options: Options) -> IService:
    """What ``twistd`` runs."""
    from twisted.internet import reactor

    def build() -> Daemon:
        upper = Listener(name="upper", factory=UpperFactory(), endpoints=options.endpoints)
        return Daemon(options.config, [upper], reactor)

    return process_service(options, options.config, build, reactor)
