"""The hub stand-in, judged by the clients it serves: huggingface_hub and a stock model of transformers."""

import subprocess
import sys

import huggingface_hub
import pytest
import torch
from huggingface_hub import HfApi, ModelCard, ModelCardData, hf_hub_download, snapshot_download, whoami
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import BertConfig, BertModel


def tiny_bert() -> BertModel:
    torch.manual_seed(0)
    return BertModel(
        BertConfig(vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    )


def uploads(hub) -> list[str]:
    return [request for request in hub.requests if request.startswith("PUT") or "/commit/" in request]


def test_model_goes_up_and_comes_back_equal(hub):
    model = tiny_bert()
    model.push_to_hub("user/bert")
    assert whoami()["name"] == "user"
    loaded = BertModel.from_pretrained("user/bert")
    assert loaded.config.to_diff_dict() | {"_name_or_path": ""} == model.config.to_diff_dict() | {
        "architectures": ["BertModel"],
        "dtype": "float32",
        "_name_or_path": "",
    }
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    assert {"config.json", "model.safetensors", "README.md"} <= set(hub.files("user/bert"))


def test_sharded_model_comes_back_equal(hub):
    model = tiny_bert()
    model.push_to_hub("user/bert", max_shard_size="2KB")
    assert sum(path.endswith(".safetensors") for path in hub.files("user/bert")) > 1
    loaded = BertModel.from_pretrained("user/bert").state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in model.state_dict().items())


def test_unchanged_files_are_not_sent_again(hub):
    model = tiny_bert()
    model.push_to_hub("user/bert")
    first, head = uploads(hub), HfApi().model_info("user/bert").sha
    model.push_to_hub("user/bert")
    assert uploads(hub) == first
    assert HfApi().model_info("user/bert").sha == head

    # The same weights under another name: a new commit, but no second upload of the content.
    model.push_to_hub("user/copy")
    assert [request for request in uploads(hub) if request.startswith("PUT")] == [first[0]]

    with torch.no_grad():
        model.embeddings.word_embeddings.weight.add_(1)
    model.push_to_hub("user/bert")
    assert len([request for request in uploads(hub) if request.startswith("PUT")]) == 2
    assert HfApi().model_info("user/bert").sha != head


@pytest.mark.skipif(
    huggingface_hub.__version__.startswith("1."),
    reason="huggingface_hub 1.x has cards validated by huggingface.co only",
)
def test_model_card_arrives(hub):
    card = ModelCard.from_template(ModelCardData(license="apache-2.0", tags=["emotion"]), model_id="user/card")
    HfApi().create_repo("user/card")
    card.push_to_hub("user/card")
    assert hub.files("user/card")["README.md"].decode() == str(card)
    assert ModelCard.load("user/card").data.to_dict() == {"license": "apache-2.0", "tags": ["emotion"]}


def test_model_card_with_broken_metadata_is_refused(hub):
    HfApi().create_repo("user/card")
    broken = b"---\ntags: [unclosed\n---\n# Card\n"
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        HfApi().upload_file(path_or_fileobj=broken, path_in_repo="README.md", repo_id="user/card")
    assert "README.md" not in hub.files("user/card")


def test_missing_things_are_told_apart(hub):
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("user/nothing", "config.json")
    with pytest.raises(RepositoryNotFoundError):
        HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="user/nothing")
    with pytest.raises(OSError, match="not a valid model identifier"):
        BertModel.from_pretrained("user/nothing")
    HfApi().create_repo("user/empty")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("user/empty", "config.json")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download("user/empty", ".gitattributes", revision="no-such-branch")


def test_private_repository_is_closed_to_strangers(hub):
    HfApi().create_repo("user/secret", private=True)
    HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="user/secret")
    assert HfApi().model_info("user/secret").private
    with pytest.raises(RepositoryNotFoundError):
        HfApi(token=False).model_info("user/secret")
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi(token="hf_wrong").create_repo("user/other")
    assert refused.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi().create_repo("someone-else/model")
    assert refused.value.response.status_code == 403


def test_folders_branches_and_deletions(hub, tmp_path):
    folder = tmp_path / "upload"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "top.txt").write_text("top")
    (folder / "a" / "one.bin").write_bytes(b"\0one")
    (folder / "a" / "b" / "two.txt").write_text("two")
    api = HfApi()
    api.create_repo("user/tree")
    api.upload_folder(repo_id="user/tree", folder_path=folder)
    tree = {entry.path: entry for entry in api.list_repo_tree("user/tree", recursive=True)}
    assert set(tree) == {".gitattributes", "top.txt", "a", "a/one.bin", "a/b", "a/b/two.txt"}
    assert tree["a/one.bin"].lfs.size == 4 and tree["top.txt"].lfs is None
    assert {entry.path for entry in api.list_repo_tree("user/tree", "a")} == {"a/one.bin", "a/b"}
    assert [entry.path for entry in api.get_paths_info("user/tree", ["a", "top.txt", "absent"])] == ["a", "top.txt"]

    api.create_branch("user/tree", branch="old")
    api.delete_folder("a", repo_id="user/tree")
    local = snapshot_download("user/tree", revision="old")
    assert (tmp_path / local / "a" / "b" / "two.txt").read_text() == "two"
    assert set(hub.files("user/tree")) == {".gitattributes", "top.txt"}
    with pytest.raises(HfHubHTTPError) as refused:
        api.upload_file(
            path_or_fileobj=b"x",
            path_in_repo="x",
            repo_id="user/tree",
            parent_commit=api.model_info("user/tree", revision="old").sha,
        )
    assert refused.value.response.status_code == 412


def test_dataset_repository(hub):
    HfApi().create_repo("user/data", repo_type="dataset")
    HfApi().upload_file(path_or_fileobj=b"\0rows", path_in_repo="rows.bin", repo_id="user/data", repo_type="dataset")
    with open(hf_hub_download("user/data", "rows.bin", repo_type="dataset"), "rb") as file:
        assert file.read() == b"\0rows"
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info("user/data")


def test_safetensors_header_is_read_by_range(hub):
    model = tiny_bert()
    model.push_to_hub("user/bert")
    metadata = HfApi().get_safetensors_metadata("user/bert")
    assert sum(metadata.parameter_count.values()) == sum(p.numel() for p in model.parameters())


def test_subprocess_gets_a_whole_environment(hub_server, tmp_path):
    code = (
        "from huggingface_hub import HfApi, hf_hub_download\n"
        "HfApi().create_repo('user/sub')\n"
        "HfApi().upload_file(path_or_fileobj=b'hello', path_in_repo='x.txt', repo_id='user/sub')\n"
        "print(open(hf_hub_download('user/sub', 'x.txt')).read())\n"
    )
    environment = hub_server.environment(tmp_path / "home")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["hello"]
    assert hub_server.files("user/sub")["x.txt"] == b"hello"
