"""Network services and their building blocks for Twisted.

One room for each protocol (:mod:`netsuite.echo`), on top of one daemon layer
(:mod:`netsuite.service`), one socket layer (:mod:`netsuite.net`) and one address
package (:mod:`netsuite.ip`). Imports go down that list, never up.
"""

from netsuite._version import __version__

__all__ = ["__version__"]
