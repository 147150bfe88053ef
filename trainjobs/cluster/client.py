"""What a person does with the TrainJobs and TrainSweeps of a namespace: the command line and scripts alike.

with trainjobs.Client() as client:
    job = client.submit("trainjob.yaml")
    for job in client.watch(job.key.name):
        print(job.state, job.message)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from trainjobs.api.pod_contract import CONTAINER, INDEX, LABEL, without_events
from trainjobs.cluster.objects import SILENCE_S, Objects, answered
from trainjobs.cluster.packing import files_of, manifest_of, sweep_manifest_of
from trainjobs.cluster.trainjob import ClusterTrainJob
from trainjobs.cluster.trainsweep import ClusterTrainSweep
from trainjobs.exits import CannotCreate, NoInput
from trainjobs.kube.client import KubeClient
from trainjobs.kube.config import cluster
from trainjobs.kube.resources import JOBS, PODS, TRAINJOBS, TRAINSWEEPS, Object
from trainjobs.kube.transport import ApiError

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.api.sweep import TrainSweep
    from trainjobs.runs.directory import RunDirectory

MANAGER: Final = "trainjobs-cli"


class Client(Objects[ClusterTrainJob]):
    """The TrainJobs of one namespace, and in `sweeps` its TrainSweeps, by the rights of whoever calls.

    Args:
        context: of the kubeconfig; the current one if empty.
        namespace: the context's own if empty.
        kubeconfig: a file instead of those of KUBECONFIG or ~/.kube/config, without which a pod's own identity is used.

    Every method raises NoPermission where the API server refuses, and StorageError where it does not answer.

    Raises ConfigError: there is no such context or file.
    """

    def __init__(self, context: str = "", namespace: str = "", kubeconfig: str = "") -> None:
        found = cluster(kubeconfig, context)
        kube, inside, named = (
            KubeClient(found.transport, MANAGER),
            namespace or found.namespace,
            bool(namespace),
        )
        super().__init__(TRAINJOBS, ClusterTrainJob.of, kube, inside, named=named)
        self.sweeps = Sweeps(TRAINSWEEPS, ClusterTrainSweep.of, kube, inside, named=named)
        self._transport = found.transport

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def submit(self, job: TrainJob | Path | str, code: Path | None = None) -> ClusterTrainJob:
        """Make a TrainJob, with Python files as its code.

        They go into a ConfigMap that is deleted with the TrainJob. Where the manifest names `trainer.code`, or there
        are no files, none is made: the code is there already, or in the image.

        Args:
            job: a TrainJob, or the file of its manifest.
            code: the directory of the files; of a file the one that it is in.

        Raises:
            SpecError: the manifest is none.
            ConfigError: the files do not fit, or the API server takes the TrainJob for invalid.
            CannotCreate: there is a TrainJob of that name, or a ConfigMap of the code's name with something else.
        """
        if isinstance(job, str | Path):
            from trainjobs.api.manifest import load

            file = Path(job)
            job, code = load(file), code or file.parent
        files = files_of(job.metadata.name, code) if job.spec.trainer.code is None else None
        document = manifest_of(job, files, self._namespace_of(job.metadata))
        return self._made(document, files, self._create)

    def logs(self, name: str, *, follow: bool = False) -> Iterator[str]:
        """What the training function prints on all ranks, line by line; pod 0 tells it. Raises NoInput."""
        return without_events(self._log(self.get(name), follow=follow))

    def record(
        self, name: str, directory: Path | str, missing: Callable[[str], object] = lambda sentence: None
    ) -> RunDirectory:
        """Write a run directory of what the log of pod 0 tells: all reports and events, the manifest, the state of now.

        `load_run` and the commands for a run on this machine read it; weights and checkpoints are not in it. A node
        keeps the latest part of a log (10 MiB unless it is told otherwise); a pod that follows another one tells every
        report from the first on.

        Args:
            missing: called with a sentence about each thing that the log does not tell.

        Raises:
            NoInput: pod 0 is gone, and its log with it; the error says where the run's checkpoints are.
            CannotCreate: the directory holds files.
        """
        from trainjobs.cluster.record import gone, written
        from trainjobs.runs.directory import RunDirectory

        found = self.get(name)
        try:
            return written(found, self._log(found), RunDirectory(Path(directory)), missing)
        except NoInput as error:
            raise gone(found, error) from None

    def _log(self, found: ClusterTrainJob, *, follow: bool = False) -> Iterator[str]:
        name = found.key.name
        with answered(f"logs of {name}"):
            selector = f"{LABEL}={name},{INDEX}=0"
            listed = self._kube.list(PODS, found.key.namespace, selector).items
            pods = [pod for pod in listed if _is_of_job(pod, name)]  # labels anybody may put on a pod
            if not pods:
                raise NoInput(f"{name} has no pod 0, so there is no log: it is {found.state}")
            newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
            path = PODS.path(found.key.namespace, newest["metadata"]["name"], "log")
            query = {"container": CONTAINER, "follow": str(follow).lower()}
            yield from self._transport.lines(path, query, SILENCE_S)

    def _create(self, document: Object) -> Object:
        try:
            return self._kube.create(document)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
            raise CannotCreate(
                f"there is a TrainJob {name} in namespace {namespace}: delete it, or give this one another name "
                "(--set metadata.name=…)"
            ) from None


def _is_of_job(pod: Object, name: str) -> bool:
    owners = pod["metadata"].get("ownerReferences", ())
    return any(
        (owner["kind"], owner["name"], owner.get("controller")) == (JOBS.kind, name, True) for owner in owners
    )


class Sweeps(Objects[ClusterTrainSweep]):
    """The TrainSweeps of one namespace."""

    def apply(self, sweep: TrainSweep, code: Path | None = None) -> ClusterTrainSweep:
        """Make the TrainSweep, with Python files as its trials' code, or change the one that is there.

        Args:
            code: the directory of the files, as in `submit`.

        Raises ConfigError: the files do not fit, or the API server takes it for invalid. Raises CannotCreate: a
        ConfigMap of the code's name holds something else.
        """
        has_code = sweep.spec.template.spec.trainer.code is not None
        files = None if has_code else files_of(sweep.metadata.name, code)
        document = sweep_manifest_of(sweep, files, self._namespace_of(sweep.metadata))
        return self._made(document, files, self._kube.apply)
