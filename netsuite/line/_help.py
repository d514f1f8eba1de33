"""What ``HELP`` says."""

from collections.abc import Iterable, Iterator

from netsuite.line._commands import Command


def help_lines(name: str, commands: Iterable[Command]) -> Iterator[str]:
    """One line for each command."""
    shown = [(each.usage, each.summary) for each in commands]
    width = max((len(usage) for usage, _ in shown), default=0)
    yield f"{name}: the commands"
    for usage, summary in shown:
        yield f"  {usage:{width}}  {summary}".rstrip()


def help_of(command: Command) -> Iterator[str]:
    """All there is to say of one."""
    yield command.usage
    if command.summary:
        yield command.summary
    if command.details:
        yield ""
        yield from (line.rstrip() for line in command.details.splitlines())
    for each in command.signature.parameters:
        optional = "" if each.required else ", optional"
        yield f"  {each.name}: {each.expected}{optional}"
    if command.signature.block:
        yield f"  {{n}}: the length of {command.signature.block}, whose bytes follow the line"
    if command.aliases:
        yield f"Other names: {', '.join(command.aliases)}"
    if command.roles:
        yield f"For: {', '.join(sorted(command.roles))}"
    if command.rate is not None:
        yield f"At most {command.rate:g} a second"
