"""The cache that is measured: netsuite's, at the limits that it has by itself."""

from netsuite.line.kv import kv_app

app = kv_app()
