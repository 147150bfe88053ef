"""Plugins of the whole test tree; pytest takes them only from its topmost conftest."""

pytest_plugins = ("testbed.fixtures",)


def pytest_terminal_summary(terminalreporter):
    """Figures that tests took on the way (`record_property`): they are told, not asserted."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
