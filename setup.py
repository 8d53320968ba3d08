"""Packaging of emo_llama_hf: three top-level folders are subpackages of `emo_llama_hf`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = ("modeling", "processing", "conversion")

packages = find_packages(include=["emo_llama_hf", "emo_llama_hf.*"])
package_dir = {"emo_llama_hf": "emo_llama_hf"}
for folder in FOLDERS:
    packages += [f"emo_llama_hf.{folder}"]
    package_dir[f"emo_llama_hf.{folder}"] = folder

EXTRAS = {
    "train": ["matplotlib>=3.9", "pyarrow>=17", "scikit-learn>=1.5", "tensorboard>=2.18"],
    "timeline": ["matplotlib>=3.9", "pyarrow>=17"],
    "gemini": ["google-genai>=1.75"],
    "openai": ["openai>=2.54"],
    "demo": ["gradio>=6"],
    "bulk": ["pyarrow>=17"],
    "ray": ["pyarrow>=17", "ray[data]>=2.50"],
    "quantization": ["bitsandbytes>=0.50"],
    "grpo": ["trl>=1"],
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=1", "nbformat>=5"],
    "export": ["onnx>=1.21", "onnxruntime>=1.30", "onnxscript>=0.7", "openvino>=2026.3", "transformers>=5.23,<6"],
    "serve": ["prometheus-client>=0.21", "starlette>=0.46", "uvicorn>=0.34"],
}
EXTRAS["test"] = [
    *EXTRAS["train"],
    *EXTRAS["gemini"],
    *EXTRAS["openai"],
    *EXTRAS["quantization"],
    *EXTRAS["grpo"],
    *EXTRAS["demo"],
    *EXTRAS["ray"],
    *EXTRAS["serve"],
    *EXTRAS["export"][:-1],  # the suite also runs on an earlier transformers
    *EXTRAS["docs"],
    "hypothesis>=6",
    "import-linter>=2.6",
    "ipykernel>=6.29",
    "mypy>=1.15",
    "nbclient>=0.10",
    "pandas>=2",
    "parameterized>=0.9",
    "pytest>=8",
    "pytest-cov>=5",
    "pytest-xdist>=3.6",
    "ruff>=0.12",
    "setuptools>=77",
]

# Where the code lives, once `repository-code` of CITATION.cff says so.
(REPOSITORY,) = re.findall(r"^repository-code: (\S+)$", (HERE / "CITATION.cff").read_text("utf-8"), re.M) or [None]


def long_description() -> str:
    """The README where there are no files beside it: their links are absolute, or left out with their pictures."""
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    file = r"\((?![a-z]+:|#)([^)\s]+)\)"
    if REPOSITORY is None:
        return re.sub(rf"(?<!!)\[([^\]]+)\]{file}", r"\1", re.sub(rf"!\[[^\]]*\]{file}\n*", "", readme))
    readme = re.sub(rf"(!\[[^\]]*\]){file}", rf"\1({REPOSITORY}/raw/HEAD/\2)", readme)
    return re.sub(rf"(?<!!)(\[[^\]]+\]){file}", rf"\1({REPOSITORY}/blob/HEAD/\2)", readme)


URLS = {"Paper": "https://arxiv.org/abs/2408.11424"}
if REPOSITORY is not None:
    URLS |= {
        "Homepage": REPOSITORY,
        "Source": REPOSITORY,
        "Documentation": f"{REPOSITORY}/blob/HEAD/docs/index.md",
        "Changelog": f"{REPOSITORY}/blob/HEAD/CHANGELOG.md",
    }

# Stated once, where users ask for it; read as text because importing the package needs its dependencies.
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', (HERE / "emo_llama_hf" / "__init__.py").read_text("utf-8"), re.M)

setup(
    name="emo_llama_hf",
    version=VERSION,
    description="EMO-LLaMA for Hugging Face transformers: a multimodal LLM that reads perceived facial emotion",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    author="The EmoLlama authors",
    project_urls=URLS,
    keywords=["emotion", "facial expression recognition", "multimodal", "LLaMA", "transformers", "video"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=packages,
    py_modules=["emo_llama_command"],
    package_dir=package_dir,
    package_data={
        "emo_llama_hf": [
            "py.typed",
            "default_checkpoint/**/*",
            "data/labels/*",
            "demo/*.css",
            "demo/*.js",
            "demo/examples/*",
            "instruct/texts/*",
            "plan/*.json",
            "plan/shapes/*.json",
        ]
    },
    install_requires=[
        "transformers>=5.17,<6",
        "torch>=2.11",
        "peft>=0.18",
        "safetensors>=0.5",
        "huggingface-hub>=1.0",
        "accelerate>=1.1",
        "pillow>=11",
        "av>=15.1",
        "sentencepiece>=0.2",
        "tenacity>=9",
        "filelock>=3.16",
        "ijson>=3.5",
        "typer>=0.20",
        "protobuf>=5",  # transformers reads `tokenizer.model` with it
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["emo-llama=emo_llama_command:main"],
        "vllm.general_plugins": ["emo_llama_hf=emo_llama_hf.vllm_plugin:register"],
    },
)
