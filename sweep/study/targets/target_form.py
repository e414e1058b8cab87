"""The form of a target in a study file, in TVM's words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sweep.study.reading.form import Form, Name

__all__ = ["TargetForm"]


class TargetForm(Form):
    """What code is generated for, in TVM's words."""

    name: Name | None = Field(None, description="Its value on the target axis; by default made from the CPU's name.")
    tag: str | None = Field(None, description="A tag of TVM to start from.", examples=["arm/rasp4b64"])
    kind: str | None = Field(
        None, description="llvm, or native for each device's own CPU.", examples=["llvm", "native"]
    )
    mcpu: str | None = Field(None, description="A CPU by LLVM's name.", examples=["core-avx2", "cortex-a72"])
    mattr: str | list[str] | None = Field(
        None, description="Features switched on or off.", examples=[["+avx2", "+fma"]]
    )
    mtriple: str | None = Field(None, description="Architecture, system, ABI.", examples=["aarch64-linux-gnu"])
    num_cores: int | None = Field(
        None,
        alias="num-cores",
        ge=1,
        le=1024,
        description="Cores to generate code for; by default the device's threads.",
    )
    mabi: str | None = Field(None, description="ABI by LLVM's name.", examples=["lp64d"])
    mfloat_abi: Literal["soft", "hard"] | None = Field(
        None, alias="mfloat-abi", description="ABI for floats on 32-bit ARM."
    )
    vector_width: int | None = Field(None, alias="vector-width", ge=32, le=4096, description="Bits of a vector.")
    host: str | None = Field(
        None,
        description="TVM's host target: for a CPU the target itself, as a string. May be left out.",
        examples=["llvm -mtriple=aarch64-linux-gnu"],
    )
    device: str | None = Field(None, description="TVM's schedule family.", examples=["arm_cpu"])
    model: str | None = Field(None, description="The chip, for people.")
    keys: list[str] | None = Field(None, description="TVM's schedule keys.", examples=[["arm_cpu", "cpu"]])
