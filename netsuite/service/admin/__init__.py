"""The admin site: metrics, health, and a page to look at and steer a service with."""

from netsuite.service.admin._source import AdminSource

__all__ = ["AdminSource"]
