"""accelerate offers FSDP for accelerators only; this lets it shard on CPUs too, so that tests can see it work."""

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import _collective_utils, _redistribute, debug


def allow_fsdp_on_cpu() -> None:
    """From here on a new `Accelerator` with an FSDP plugin uses it on CPUs."""
    made = AcceleratorState.__init__

    def init(self, *args, fsdp_plugin=None, **kwargs):
        made(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = init


def forget_meshes() -> None:
    """DTensor's caches keep every mesh, and so its process group, whose threads would never end if they are gloo's."""
    debug._clear_sharding_prop_cache()
    _redistribute._gen_transform_infos.cache_clear()
    _redistribute.clear_redistribute_planner_cache()
    _collective_utils.MeshTopoInfo.build_from_mesh.cache_clear()
