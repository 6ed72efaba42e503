"""Many processes that train one model: who they are, what they tell one another, who has what.

The processes are started by MPI (``mpiexec -n 4``, ``srun --mpi=pmi2``) and talk through mpi4py,
which is imported nowhere but here, and only in a process that a launcher started.
"""

from nnscratch.parallel.world import World, world

__all__ = ["World", "world"]
