"""How Sphinx builds this documentation."""

import re

from sphinx.application import Sphinx

from netsuite._version import __version__

project = "netsuite"
author = "The netsuite developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build"]
nitpicky = False  # Twisted's own names have nothing to link to without its inventory

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

doctest_test_doctest_blocks = "default"

html_theme = "furo"
html_title = f"netsuite {release}"
html_show_copyright = False
html_show_sphinx = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["netsuite.css"]

_INTERFACE = re.compile(r"<InterfaceClass (?:\w+\.)*(\w+)>")


def _name_interfaces(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """Show a zope interface by its name, not by its ``repr``."""
    if signature is None:
        return None
    return _INTERFACE.sub(r"\1", signature), returns and _INTERFACE.sub(r"\1", returns)


def setup(app: Sphinx) -> None:
    """Hook into autodoc."""
    app.connect("autodoc-process-signature", _name_interfaces)
