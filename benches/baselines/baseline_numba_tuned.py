"""[`baseline_numba`] with draws of its own and the widest vectors: the compiler prefers half of what AVX-512 has."""

import os

import llvmlite.binding

features = llvmlite.binding.get_host_cpu_features().flatten()
os.environ["NUMBA_CPU_NAME"] = llvmlite.binding.get_host_cpu_name()
os.environ["NUMBA_CPU_FEATURES"] = f"{features},-prefer-256-bit" if "+avx512f" in features else features

from baseline_numba import TunedRunner as Runner  # noqa: E402, F401
