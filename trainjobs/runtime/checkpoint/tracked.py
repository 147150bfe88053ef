"""The objects a checkpoint holds: anything with `state_dict` and `load_state_dict`."""

import copy
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch.nn.parallel import DistributedDataParallel

from trainjobs.exits import ConfigError, DataError
from trainjobs.runtime.checkpoint.sums import are_same, sums_if_any
from trainjobs.runtime.models.wrappers import load_own_state, own_state, unwrapped


@runtime_checkable
class Stateful(Protocol):
    """What can be tracked."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any, /) -> Any: ...


_WITHOUT_MODELS = (
    torch.nn.Module,
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.amp.GradScaler,
)
"""What holds no model but, as a module, itself."""


class Tracked:
    """The tracked objects by name, and the states that wait for them after a resume.

    Args:
        restored: states by name; each is taken out when it is loaded, so that it is in memory once. None for a fresh
            start.
        source: where they come from, for messages.
    """

    def __init__(self, restored: MutableMapping[str, Any] | None, source: str = "") -> None:
        self.objects: dict[str, Stateful] = {}
        self._restored = restored
        self._source = source
        self._names = ", ".join(sorted(restored or ()))
        self._complete = False
        self._trained: list[torch.nn.Module] = []
        self._loaded_light: dict[str, Any] = {}
        self._loaded_sums: dict[str, list[torch.Tensor] | None] = {}

    def add(self, objects: Mapping[str, object]) -> None:
        """Track them; after a resume each takes its state from the checkpoint at once.

        Tracking the same object again under its name does nothing.

        Raises:
            TypeError: one has no `state_dict`.
            ValueError: the name is another object's.
            RuntimeError: the loop has begun, so that a resumed run would not find the state.
            ConfigError: the checkpoint is from a run of another model, or lacks one of the names.
        """
        for name, thing in objects.items():
            if not isinstance(thing, Stateful):
                raise TypeError(
                    f"run.track({name}=...): {type(thing).__name__} has no state_dict and load_state_dict"
                )
            if self._is_new(name, thing):
                self.objects[name] = thing
                if self._restored is not None:
                    self._load(name)

    def expect(self, model: torch.nn.Module) -> None:
        """Take a model for one that is trained, and so is to be tracked."""
        self._trained.append(model)

    @property
    def lacks_weights(self) -> bool:
        """Whether weights of an expected model are in nothing that is tracked; objects of other kinds may hold some."""
        if not all(isinstance(thing, _WITHOUT_MODELS) for thing in self.objects.values()):
            return False
        held = {id(weight) for model in self.models().values() for weight in model.parameters()}
        trained = (weight for model in self._trained for weight in model.parameters() if weight.requires_grad)
        return any(id(weight) not in held for weight in trained)

    def check_complete(self) -> None:
        """From here nothing more can be tracked. Called when the loop begins.

        Raises ConfigError when the checkpoint holds an object that the resumed run does not track.
        """
        self._complete = True
        if self._restored:
            raise ConfigError(
                f"{self._source} also holds {', '.join(sorted(self._restored))}, which this run does not track; "
                "track it with run.track(...), or start anew with --fresh"
            )

    @property
    def learning_rate(self) -> float | None:
        """That of the first group of the first optimizer; None if none is tracked."""
        optimizers = (each for each in self.objects.values() if isinstance(each, torch.optim.Optimizer))
        first = next(optimizers, None)
        return None if first is None else float(first.param_groups[0]["lr"])

    @property
    def loss_scale(self) -> float:
        """By which the first gradient scaler has made the loss larger, 1 without one. A device is waited for."""
        scalers = (each for each in self.objects.values() if isinstance(each, torch.amp.GradScaler))
        first = next(scalers, None)
        return 1.0 if first is None else first.get_scale()

    def states(self) -> dict[str, Any]:
        """Every state as it is now. Tensors are not copied: write them before the next step."""
        return {name: _state(thing) for name, thing in self.objects.items()}

    def light_states(self) -> dict[str, Any]:
        """Copies of what may change between the last step and the end of evaluation.

        That is everything but weights and the optimizers' moments: schedulers, scalers, counters, and the
        optimizers' settings, into which a scheduler writes the learning rate.
        """
        return {
            name: _light(name, thing)
            for name, thing in self.objects.items()
            if not isinstance(thing, torch.nn.Module)
        }

    def load_light(self, light: Mapping[str, Any]) -> None:
        """Go back to what `light_states` had copied: in tensors that can be written, also amid an evaluation in
        `torch.inference_mode()`."""
        for name, state in light.items():
            thing = self.objects[name]
            heavy = isinstance(thing, torch.optim.Optimizer)
            with torch.inference_mode(False):
                mine = copy.deepcopy(state)
                thing.load_state_dict({**thing.state_dict(), **mine} if heavy else mine)

    def states_with(self, light: Mapping[str, Any]) -> dict[str, Any]:
        """Every state as it is now, but for what `light_states` had copied."""
        states = self.states()
        for name, state in light.items():
            heavy = isinstance(self.objects[name], torch.optim.Optimizer)
            states[name] = {**states[name], **state} if heavy else state
        return states

    def buffers(self) -> dict[str, dict[str, torch.Tensor]]:
        """Copies of what a forward pass may change in the models: everything but their parameters, by name."""
        return {
            name: {key: value.clone() for key, value in _buffers(model).items()}
            for name, model in self.models().items()
        }

    def loose_buffers(self, states: Mapping[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
        """Copies of the buffers in these states that no forward pass will make rank 0's, by the model's name."""
        return {
            name: {key: states[name][key].detach().to("cpu", copy=True) for key in _loose(model)}
            for name, model in self.models().items()
        }

    def states_over(self, buffers: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, Any]:
        """Every state as it is now, but for what `buffers` had copied."""
        return {
            name: {**state, **buffers[name]} if name in buffers else state
            for name, state in self.states().items()
        }

    def weights(self) -> tuple[tuple[int, int], ...]:
        """What tells whether any weight or buffer was written since: where it lies, how often it was changed there.

        Torch does not count what is written through `.data`; `weight_sums` tells that too.
        """
        return tuple((tensor.data_ptr(), _writes(tensor)) for tensor in self._weights_and_buffers())

    def weight_sums(self) -> list[torch.Tensor] | None:
        """Sums of their bytes, on their devices, without waiting; None where a device has failed."""
        return sums_if_any(self._weights_and_buffers())

    def _weights_and_buffers(self) -> Iterator[torch.Tensor]:
        for model in self.models().values():
            yield from model.parameters()
            for part in model.modules():
                kept = part._buffers.keys() - part._non_persistent_buffers_set
                yield from (
                    tensor for name, tensor in part._buffers.items() if name in kept and tensor is not None
                )

    def heavy_sums(self) -> list[torch.Tensor] | None:
        """The same of all that `light_states` leaves out, and of the models' buffers."""
        return sums_if_any(tensor for thing in self.objects.values() for tensor in _heavy(thing))

    def undo_light_since_loaded(self) -> None:
        """Undo what was written to small states since `add` loaded them, as by a scheduler made after its optimizer.

        Once: from here they are the run's.
        """
        light, self._loaded_light = self._loaded_light, {}
        self.load_light(light)

    @property
    def unchanged_since_loaded(self) -> bool:
        """Whether models and optimizers are as `add` has loaded them, if it has."""
        return all(
            are_same(loaded, _sums_on_the_cpu(self.objects[name]))
            for name, loaded in self._loaded_sums.items()
        )

    def reload(self, states: Mapping[str, Any]) -> None:
        """Go back to these states of the models and optimizers."""
        for name, thing in self.objects.items():
            if isinstance(thing, torch.nn.Module):
                load_own_state(thing, states[name])
            elif isinstance(thing, torch.optim.Optimizer):
                thing.load_state_dict(states[name])

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [thing for thing in self.objects.values() if isinstance(thing, torch.optim.Optimizer)]

    def models(self) -> dict[str, torch.nn.Module]:
        return {name: thing for name, thing in self.objects.items() if isinstance(thing, torch.nn.Module)}

    def _is_new(self, name: str, thing: Stateful) -> bool:
        if name in self.objects:
            if _core(self.objects[name]) is _core(thing):
                return False
            raise ValueError(f"run.track({name}=...): another object is tracked under this name")
        if self._complete:
            raise RuntimeError(
                f"run.track({name}=...) comes after the training loop has begun; track it before the loop, "
                "where a resumed run loads it"
            )
        return True

    def _remember_loaded(self, name: str, thing: Stateful) -> None:
        if not isinstance(thing, torch.nn.Module):
            self._loaded_light[name] = _light(name, thing)
        if isinstance(thing, torch.nn.Module | torch.optim.Optimizer):
            self._loaded_sums[name] = _sums_on_the_cpu(thing)

    def _load(self, name: str) -> None:
        restored = self._restored
        if restored is None or name not in restored:
            raise ConfigError(
                f"{self._source} holds {self._names} but no {name}; "
                "it is from another run: restore the code that wrote it, or start anew with --fresh"
            )
        thing, state = self.objects[name], restored.pop(name)
        try:
            if isinstance(thing, torch.nn.Module):
                load_own_state(thing, state)
            else:
                thing.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            difference = _difference(thing, state, error)
            raise ConfigError(
                f"{self._source} is from a run of another {name}: {difference}; "
                "restore the code and config that wrote it, or start anew with --fresh"
            ) from None
        self._remember_loaded(name, thing)


def _light(name: str, thing: Stateful) -> Any:
    """A copy of what may change in it without a step; of an optimizer that is its settings."""
    if isinstance(thing, torch.optim.Optimizer):
        return {"param_groups": _copied(name, thing.state_dict()["param_groups"])}
    return _copied(name, thing.state_dict())


def _heavy(thing: Stateful) -> Iterator[torch.Tensor]:
    """What only a step changes in it, and a model's buffers."""
    values: Iterable[Any] = ()
    if isinstance(thing, torch.nn.Module):
        values = own_state(thing).values()
    elif isinstance(thing, torch.optim.Optimizer):
        values = (value for state in thing.state.values() for value in state.values())
    return (value for value in values if isinstance(value, torch.Tensor))


def _sums_on_the_cpu(thing: Stateful) -> list[torch.Tensor] | None:
    """Of a model that may be moved to another device later."""
    found = sums_if_any(_heavy(thing))
    return None if found is None else [total.cpu() for total in found]


def _writes(tensor: torch.Tensor) -> int:
    """How often it was changed in place; torch does not count it where gradients are ruled out (inference mode)."""
    return 0 if tensor.is_inference() else tensor._version


def _buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What is no parameter in a model's state."""
    parameters = {parameter.data_ptr() for parameter in model.parameters()}
    return {
        key: value
        for key, value in own_state(model).items()
        if isinstance(value, torch.Tensor) and value.data_ptr() not in parameters
    }


def _loose(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Its buffers, if the next forward pass leaves each rank its own."""
    replicas = [part for part in model.modules() if isinstance(part, DistributedDataParallel)]
    shared = any(replica.will_sync_module_buffers() for replica in replicas)  # type: ignore[no-untyped-call]
    return {} if shared else _buffers(model)


def _copied(name: str, state: Any) -> Any:
    """Raises DataError for a state that holds what cannot be copied, and so not be saved, such as a lock."""
    try:
        return copy.deepcopy(state)
    except Exception as error:
        raise DataError(
            f"the state of {name} cannot be saved: {error}. Let its state_dict() hold only tensors, numbers, strings, "
            "lists and dicts"
        ) from error


def _core(thing: Stateful) -> Stateful:
    """What makes two objects the same: a model in its wrappers is the model."""
    return unwrapped(thing) if isinstance(thing, torch.nn.Module) else thing


def _state(thing: Stateful) -> Any:
    return own_state(thing) if isinstance(thing, torch.nn.Module) else thing.state_dict()


def _difference(thing: Stateful, state: Any, error: Exception) -> str:
    """The first parameter that does not fit, or what the object itself says."""
    if isinstance(thing, torch.nn.Module):
        here = {
            name: tuple(value.shape) for name, value in own_state(thing).items() if hasattr(value, "shape")
        }
        there = {name: tuple(value.shape) for name, value in state.items() if hasattr(value, "shape")}
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                return f"{name} is {there.get(name, 'absent')} there and {here.get(name, 'absent')} here"
    if isinstance(thing, torch.optim.Optimizer):
        mine, theirs = len(thing.param_groups), len(state.get("param_groups", ()))
        if mine != theirs:
            return f"{theirs} parameter groups there and {mine} here; add later ones before tracking it, by run.epoch"
    return str(error).strip().partition("\n")[0]
