"""What a Ray that we start leaves on this machine."""

import pytest

from trainjobs.driver.ray_launcher import keep_token_private


@pytest.mark.parametrize("mode", [None, 0o755, 0o777, 0o700])
def test_no_other_user_reaches_the_token_of_ray(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / ".ray"
    if mode is not None:
        directory.mkdir()
        directory.chmod(mode)
    keep_token_private()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_home_in_which_nothing_can_be_made_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    keep_token_private()
