"""Settings of Sphinx: pages in Markdown, API pages made from the docstrings of every module."""

import re
from importlib.metadata import version as version_of

project = "potentia"
author = "The potentia authors"
copyright = "2026, The potentia authors"
release = version_of("potentia")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 3

# One page for each package, written to docs/api (not kept in git), and none of sources: each page carries links to all
# others, so two pages for each of 500 modules take ten minutes to write.
apidoc_modules = [
    {
        "path": "../src/potentia",
        "destination": "api",
        "max_depth": 2,
        "separate_modules": False,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
apidoc_templates_path = []
autosummary_generate = False  # tables of names only, on docs/api.md

# A name is documented where it is defined, not again where it is offered.
autodoc_default_options = {"ignore-module-all": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

# `Name` in a docstring is a link where the name is known, and code where it is not.
default_role = "py:obj"
suppress_warnings = ["ref.python"]  # the same name in two modules

html_theme = "furo"
html_title = "potentia"


def escape_signs(app, what, name, obj, options, lines):
    """Keep shapes such as [windows, *shape] and magnitudes such as |u| from being read as markup."""
    for number, line in enumerate(lines):
        parts = line.split("``")  # what is code stays as it is
        parts[::2] = [re.sub(r"(?<=[\[ ])\*(?=\w+( \w+)*[\],])|\|", r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = "``".join(parts)


def skip_commands(app, what, name, obj, skip, options):
    """Leave out the command whose options are made of a dataclass: autodoc looks for its defaults in the source."""
    return True if getattr(obj, "__module__", "") == "potentia.cli.dynamics_train" and name == "train" else None


def setup(app):
    """Connect both."""
    app.connect("autodoc-process-docstring", escape_signs)
    app.connect("autodoc-skip-member", skip_commands)
