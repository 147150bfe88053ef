"""Plugins of the whole test tree; pytest takes them only from its topmost conftest."""

pytest_plugins = ("testbed.fixtures",)
