"""Training in several processes: data parallel, over MPI.

Started by `mpiexec -n 4 python script.py`, the same script runs in four processes, which are called
ranks 0 to 3. Each has the whole model and a part of every batch. `DataParallel` around the
optimizer averages the gradients over all ranks before each update, so that the ranks stay equal,
and are what one process would be that had the whole batches. Started by `python script.py`, or
where mpi4py is not installed, the script runs in one process, of size 1.

It needs an extra: `pip install "retrograd[mpi]"`, which is mpi4py and MPICH.

What all ranks do together, such as a sum over ranks, all must do in the same order. Where a rank
fails, or ends, or does something else, the others end too, within seconds, with its message: see
`DataParallel`.

>>> rg.parallel.rank(), rg.parallel.size()  # in one process
(0, 1)
"""

from retrograd.later import public_names
from retrograd.parallel.batch_norm import SyncBatchNorm
from retrograd.parallel.functions import allreduce, barrier, broadcast, rank, size
from retrograd.parallel.group import NotFiniteError, RanksDifferError
from retrograd.parallel.optimizer import DataParallel
from retrograd.parallel.sampler import DistributedSampler

__all__ = [
    "DataParallel", "DistributedSampler", "NotFiniteError", "RanksDifferError", "SyncBatchNorm",
    "allreduce", "barrier", "broadcast", "rank", "size",
]  # fmt: skip

__dir__ = public_names(__name__)
