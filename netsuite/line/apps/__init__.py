"""The applications that ``netsuite line`` runs: those that come with it, and one's own.

:func:`load_app` finds them by name: ``echo``, ``ip``, ``kv``, ``chat``, or ``module:attribute``
for a :class:`~netsuite.line.LineApp` of one's own.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from netsuite.line.app import LineApp

__all__ = ["APPS", "AppError", "load_app"]


class AppError(Exception):
    """An application cannot be had; one line for a person says why."""


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """Where an application is made, and what it can be told."""

    module: str
    make: str
    options: frozenset[str]


_LINE_END = frozenset({"line_end"})

_BUILT_IN = {
    "echo": _BuiltIn("netsuite.line.apps.echo", "echo_app", _LINE_END),
    "ip": _BuiltIn("netsuite.line.apps.ip", "ip_app", _LINE_END),
    "kv": _BuiltIn("netsuite.line.kv", "kv_app", frozenset({"memory", "value_size"})),
    "chat": _BuiltIn("netsuite.line.apps.chat", "chat_app", frozenset()),
}

#: The names of those that come with netsuite.
APPS = tuple(_BUILT_IN)

_EXPECTED = f"expected one of {', '.join(APPS)}, or MODULE:APP such as calc:app"


def load_app(spec: str, *, directory: Path | str = ".", **options: Any) -> LineApp:
    """The application of a name.

    :param spec: one of :data:`APPS`, or ``module:attribute`` for a
        :class:`~netsuite.line.LineApp`, or for what returns one when it is called without
        arguments.
    :param directory: modules are looked for there too, before anywhere else.
    :param options: what the application is made with, such as ``line_end``; None for its own
        default.
    :raises AppError: for what there is not, what is none, and what fails: one line.
    """
    given = {name: value for name, value in options.items() if value is not None}
    built_in = _BUILT_IN.get(spec)
    taken = frozenset() if built_in is None else built_in.options
    for name in given:
        if name not in taken:
            takes = [app for app, each in _BUILT_IN.items() if name in each.options]
            raise AppError(
                f"{spec}: takes no {name.replace('_', '-')}: expected it with {' or '.join(takes)}"
            )
    if built_in is not None:
        made: LineApp = getattr(importlib.import_module(built_in.module), built_in.make)(**given)
        return made
    name, colon, attribute = spec.partition(":")
    if not colon:
        raise AppError(f"{spec or repr(spec)}: {_EXPECTED}")
    if name.endswith(".py"):
        raise AppError(f"{spec}: expected a module without .py: {name[:-3]}:{attribute or 'app'}")
    if not (_is_dotted(name) and _is_dotted(attribute)):
        raise AppError(f"{spec}: {_EXPECTED}")
    module = _module(spec, name, Path(directory).resolve())
    return _made(spec, _attribute(spec, module, attribute), module)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _module(spec: str, name: str, directory: Path) -> ModuleType:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise AppError(
                f"{spec}: no module {error.name!r} in {directory}, nor installed"
            ) from None
        raise _failed(spec, error, name) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module raises
        raise _failed(spec, error, name) from None


def _attribute(spec: str, module: ModuleType, attribute: str) -> object:
    found: object = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            apps = [name for name, each in vars(module).items() if isinstance(each, LineApp)]
            hint = f": did you mean {module.__name__}:{apps[0]}?" if len(apps) == 1 else ""
            raise AppError(
                f"{spec}: module {module.__name__!r} has no {attribute!r}{hint}"
            ) from None
    return found


def _made(spec: str, found: object, module: ModuleType) -> LineApp:
    """The application that an attribute is, or gives."""
    if isinstance(found, LineApp):
        return found
    what = "is of type"
    if callable(found):
        try:
            found = found()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises
            raise _failed(spec, error, module.__name__) from None
        if isinstance(found, LineApp):
            return found
        what = "gives a value of type"
    raise AppError(f"{spec}: {what} {type(found).__name__!r}: expected a LineApp")


def _failed(what: str, error: BaseException, module: str) -> AppError:
    """An exception of somebody's own program, as one line."""
    text = " ".join(str(error).split())
    where = _place(error, module)
    if isinstance(error, SyntaxError):
        where, text = f"{error.filename}, line {error.lineno}", error.msg
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return AppError(f"{what}: {f'{where}: ' if where else ''}{shown}")


def _place(error: BaseException, module: str) -> str:
    """Where in a module, or one of its package, an exception came from; nothing for elsewhere."""
    package = module.partition(".")[0]
    place = ""
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        name = str(frame.f_globals.get("__name__", ""))
        if f"{name}.".startswith(f"{package}."):
            place = f"{frame.f_code.co_filename}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
