"""Search by a model of what earlier trials have shown: Optuna's samplers.

The study is in memory and is a fold of the trials: a resume tells it every trial that has ended, in their order. A
pruned trial counts with the objective that it had come to. Values of a list are known to Optuna by their place in it,
so that they may be of any type.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from trainjobs.api.monitoring import Mode
from trainjobs.api.sweep import Optuna, Parameter, Sampler, TrainSweepSpec
from trainjobs.exits import ConfigError, DataError
from trainjobs.sweeps.record import Trial, TrialState, name_of
from trainjobs.sweeps.space import Parameters

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class OptunaSource:
    """One study. Raises ConfigError where Optuna is not installed."""

    def __init__(self, spec: TrainSweepSpec, search: Optuna) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError(
                "spec.search.optuna: Optuna is not installed; pip install 'trainjobs[sweep]', or search at random"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spec, self._search = spec, search
        self._distributions = {name: distribution(p) for name, p in spec.parameters.items()}
        self._study = optuna.create_study(
            sampler=sampler(search, spec.seed),
            direction="maximize" if spec.objective.mode is Mode.MAX else "minimize",
        )
        self._open: dict[str, optuna.Trial] = {}

    def propose(self, number: int) -> tuple[Parameters, str]:
        """See `Source`. Trials that still train count as bad for TPE, so that no two slots try the same place."""
        import optuna

        trial = self._study.ask()
        self._open[name_of(number)] = trial
        values: dict[str, Any] = {}
        for name, parameter in sorted(self._spec.parameters.items(), key=lambda item: bool(item[1].when)):
            if all(values.get(other) == wanted for other, wanted in (parameter.when or {}).items()):
                values[name] = value_of(parameter, suggested(trial, name, self._distributions[name]))
        known = len(self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))
        by = "random" if known < self._search.startup_trials else str(self._search.sampler)
        return {name: values[name] for name in self._spec.parameters if name in values}, by

    def ended(self, trial: Trial) -> None:
        """See `Source`. Raises DataError for a trial that this sweep cannot have proposed."""
        from optuna.trial import TrialState as State

        able = trial.state is not TrialState.FAILED and math.isfinite(trial.objective)
        state, value = (State.COMPLETE, trial.objective) if able else (State.FAIL, None)
        if (own := self._open.pop(trial.name, None)) is not None:
            self._study.tell(own, value, state)
            return
        try:
            self._study.add_trial(self._of_earlier(trial, state, value))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"trials.jsonl: trial {trial.name}: no parameters of this sweep ({type(error).__name__}: {error}); "
                "put them back, or begin anew with --fresh"
            ) from error

    def _of_earlier(self, trial: Trial, state: Any, value: float | None) -> optuna.trial.FrozenTrial:
        from optuna.trial import create_trial

        places = {
            name: place_of(self._spec.parameters[name], drawn) for name, drawn in trial.parameters.items()
        }
        named = {name: self._distributions[name] for name in places}
        return create_trial(state=state, value=value, params=places, distributions=named)


def sampler(search: Optuna, seed: int) -> BaseSampler:
    """Optuna's, with its defaults but for what the manifest says."""
    from optuna import samplers
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if search.sampler is Sampler.GP:
            return samplers.GPSampler(seed=seed, n_startup_trials=search.startup_trials)
        return samplers.TPESampler(seed=seed, n_startup_trials=search.startup_trials, constant_liar=True)


def distribution(parameter: Parameter) -> BaseDistribution:
    """What Optuna draws from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if (values := parameter.listed) is not None:
        return CategoricalDistribution(range(len(values)))
    if (span := parameter.integer) is not None:
        steps = (span.max - span.min) // span.step
        return IntDistribution(span.min, span.min + steps * span.step, step=span.step)
    if (orders := parameter.log_uniform) is not None:
        return FloatDistribution(orders.min, orders.max, log=True)
    uniform = parameter.uniform
    assert uniform is not None  # noqa: S101 - exactly one is given
    if uniform.step is None:
        return FloatDistribution(uniform.min, uniform.max)
    greatest = round(uniform.min + uniform.last_step * uniform.step, 12)
    return FloatDistribution(uniform.min, greatest, step=uniform.step)


def suggested(trial: optuna.Trial, name: str, of: BaseDistribution) -> Any:
    """Draw."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match of:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, of.choices)
        case IntDistribution():
            return trial.suggest_int(name, of.low, of.high, step=of.step)
        case FloatDistribution():
            return trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
    raise TypeError(of)


def value_of(parameter: Parameter, drawn: Any) -> Any:
    """The parameter's value for what Optuna has drawn."""
    if (values := parameter.listed) is not None:
        return values[drawn]
    return round(drawn, 12) if parameter.uniform and parameter.uniform.step else drawn


def place_of(parameter: Parameter, value: Any) -> Any:
    """The other way."""
    return value if (values := parameter.listed) is None else values.index(value)
