"""The admin site: metrics, health, and a page to look at and steer a service with."""

from netsuite.service.admin._hosts import exposure_warning
from netsuite.service.admin._site import AdminSite, build_admin_site
from netsuite.service.admin._source import AdminSource
from netsuite.service.admin._token import make_token, read_token

__all__ = [
    "AdminSite",
    "AdminSource",
    "build_admin_site",
    "exposure_warning",
    "make_token",
    "read_token",
]
