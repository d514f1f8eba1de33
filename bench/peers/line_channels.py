"""The application that publishes: channels of netsuite, at the bounds that they have by themselves.

Subscribers of the benchmark only listen, for longer than a silent peer may by default.
"""

from netsuite.line import Limits, LineApp
from netsuite.line.channels import Channels

app = LineApp("channels", limits=Limits(idle=3600.0))
app.add(Channels())
