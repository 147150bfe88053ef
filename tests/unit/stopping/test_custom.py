import pytest

from trainjobs.api import Length
from trainjobs.api.stopping import Stopping
from trainjobs.exits import Exit, UserCodeError
from trainjobs.stopping import Panel, replay

RULES = """
from trainjobs.stopping import Verdict

class Below:
    def __init__(self, metric="m", goal=0.5):
        self.metric, self.goal = metric, goal
    def start(self):
        return ()
    def update(self, state, seen):
        return (*state, seen.metrics[self.metric])
    def judge(self, state):
        if not state:
            return Verdict(False, "nothing yet", undecided=True)
        return Verdict(state[-1] < self.goal, f"{self.metric} {state[-1]}", self.metric, state[-1])

class Silent(Below):
    def judge(self, state):
        return True

class Broken:
    def __init__(self):
        raise ValueError("no luck")
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A directory with a module of its own name, forgotten afterwards."""
    import sys

    name = f"rules_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(RULES)
    yield tmp_path, name
    sys.modules.pop(name, None)


def judged(code, history, of="Below", path=None, **parameters):
    directory, module = code
    criterion = {"custom": {"class": path or f"{module}:{of}", "parameters": parameters}}
    panel = Panel.of(Stopping.model_validate({"criteria": [criterion]}), Length.of(9, None), code=directory)
    return replay(panel, history).criteria[0]


def test_a_class_of_ones_own_stops_the_run(code, history):
    stop = judged(code, history([0.9, 0.6, 0.4, 0.3]), goal=0.5).stop
    assert (stop.epoch, stop.reason, stop.metric, stop.value) == (3, "m 0.4", "m", 0.4)


def test_the_path_of_modules_is_as_before(code, history):
    import sys

    before = sys.path[:]
    judged(code, history([0.9]))
    assert sys.path == before


@pytest.mark.parametrize(
    ("of", "parameters", "said"),
    [
        ("Below", {"metric": "other"}, "update failed: KeyError: 'other' ("),
        ("Below", {"gaol": 1}, "start failed: TypeError: Below.__init__() got an unexpected keyword argument 'gaol' ("),
        ("Silent", {}, "judge must return a trainjobs.stopping.Verdict; got True"),
        ("Broken", {}, "start failed: ValueError: no luck ("),
        ("Nowhere", {}, "start failed: AttributeError: module "),
    ],
)  # fmt: skip
def test_what_the_class_raises_is_one_failure_that_says_where(code, history, of, parameters, said):
    with pytest.raises(UserCodeError) as caught:
        judged(code, history([0.9]), of, **parameters)
    assert str(caught.value).startswith(f"spec.stopping.criteria[0].custom: {code[1]}:{of}: {said}")
    assert caught.value.exit_code is Exit.USER_CODE


def test_a_module_that_is_not_there_is_such_a_failure_too(code, history):
    with pytest.raises(UserCodeError, match="start failed: ModuleNotFoundError: No module named 'nowhere'"):
        judged(code, history([0.9]), path="nowhere:Rule")


def test_nothing_is_imported_where_the_code_is_not(history):
    criterion = {"custom": {"class": "nowhere:Rule"}}
    panel = Panel.of(Stopping.model_validate({"criteria": [criterion]}))
    verdict = panel.judge(panel.fold(history([0.9]))).findings[0].verdict
    assert (verdict.stop, verdict.undecided) == (False, True)
    assert verdict.reason == "nowhere:Rule judges only where the run's code is"
