"""Packaging of emo_llama_hf: three top-level folders are subpackages of `emo_llama_hf`."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = ("modeling", "processing", "conversion")

packages = find_packages(include=["emo_llama_hf", "emo_llama_hf.*"])
package_dir = {"emo_llama_hf": "emo_llama_hf"}
for folder in FOLDERS:
    packages += [f"emo_llama_hf.{folder}"]
    package_dir[f"emo_llama_hf.{folder}"] = folder

setup(
    name="emo_llama_hf",
    version="0.1.0",
    description="EMO-LLaMA for Hugging Face transformers: a multimodal LLM that reads perceived facial emotion",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.10",
    packages=packages,
    package_dir=package_dir,
    package_data={"emo_llama_hf": ["py.typed", "embedded/**/*"]},
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
        "protobuf>=5",  # transformers reads `tokenizer.model` with it
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-cov>=5",
            "hypothesis>=6",
            "ruff>=0.12",
            "mypy>=1.15",
            "parameterized>=0.9",
            "setuptools>=77",
        ],
        "train": ["datasets>=4", "matplotlib>=3.9", "tensorboard>=2.18"],
        "demo": ["gradio>=5"],
    },
    entry_points={"console_scripts": ["emo-llama=emo_llama_hf.cli:main"]},
)
