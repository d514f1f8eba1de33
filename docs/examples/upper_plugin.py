"""What ``twistd`` finds; it goes to ``twisted/plugins/`` beside the package."""

from twisted.application.service import ServiceMaker

netsuite_upper = ServiceMaker(
    "netsuite upper", "upper_service", "Text back in upper case", "netsuite-upper"
)
