"""A local stand-in of the Hugging Face hub's HTTP API: repositories in a folder, served on a loopback port.

Covers what `push_to_hub` and `from_pretrained` use: who-am-I, repository creation, branches, preupload, LFS, commits,
model-card validation, repository info, file trees and downloads. Pull requests and Xet storage are not offered.
"""

import base64
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

LFS_THRESHOLD = 10 * 2**20  # bytes; the hub keeps larger text files in LFS as well


class HubError(Exception):
    """An answer other than 2xx; `code` is the hub's `X-Error-Code`, by which the client picks its exception."""

    def __init__(self, status: HTTPStatus, message: str, code: str | None = None, **body: Any):
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, **body}


@dataclass(frozen=True)
class Blob:
    """One version of one file: git object id, SHA-256 of the content, size in bytes, and whether it is kept in LFS."""

    git_oid: str
    sha256: str
    size: int
    lfs: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid

    def info(self, path: str) -> dict[str, Any]:
        lfs = {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": len(pointer(self.sha256, self.size))}}
        return {"type": "file", "path": path, "oid": self.git_oid, "size": self.size, **(lfs if self.lfs else {})}


@dataclass
class Repo:
    """Branches of one repository; `commits` maps a commit id to its files, `heads` a branch to its newest commit."""

    private: bool
    heads: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, Blob]) -> str:
        content = json.dumps({path: blob.etag for path, blob in sorted(files.items())})
        oid = hashlib.sha1(f"{branch} {self.heads.get(branch)} {len(self.commits)} {content}".encode()).hexdigest()
        self.commits[oid] = files
        self.heads[branch] = oid
        return oid

    def resolve(self, revision: str) -> str:
        oid = self.heads.get(revision, revision)
        if oid not in self.commits:
            raise HubError(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid


def git_blob_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """The text that git keeps instead of a file's content when the content is in LFS."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


class HubServer:
    """The stand-in, running from construction to `close()`; contents are kept under `root`, one file for each SHA-256.

    Attributes:
        endpoint: value for `HF_ENDPOINT`.
        user, token: the one account, which may write to repositories under its own name.
        requests: every request so far as `"METHOD /path"`, in order of arrival.
    """

    user = "user"
    token = "hf_standin"

    def __init__(self, root: Path):
        self.contents = Path(root) / "contents"
        self.contents.mkdir(parents=True)
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """A whole environment for a subprocess that is to use this hub, with its caches and token under `home`."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def files(self, repo_id: str, revision: str = "main", repo_type: str = "model") -> dict[str, bytes]:
        """Path -> content of every file of a repository as the server holds it; KeyError for an unknown repository."""
        repo = self.repos[f"{repo_type}s/{repo_id}"]
        return {p: self.content(blob.sha256) for p, blob in repo.commits[repo.resolve(revision)].items()}

    def content(self, sha256: str) -> bytes:
        return (self.contents / sha256).read_bytes()

    def store(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        part = self.contents / f".{sha256}.{threading.get_ident()}"
        part.write_bytes(content)
        part.replace(self.contents / sha256)
        return sha256


class Handler(BaseHTTPRequestHandler):
    """One request; the route methods return a JSON-able answer, raise `HubError`, or call `reply` themselves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; without this each answer waits 40 ms

    def __init__(self, hub: HubServer, *args: Any):
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self.read_body()
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {url.path}")
            try:
                for methods, pattern, route in ROUTES:
                    # Matched before unquoting, so that a revision such as refs%2Fpr%2F1 stays one segment.
                    if self.command in methods and (found := re.fullmatch(pattern, url.path)):
                        arguments = {k: unquote(v) for k, v in found.groupdict().items() if v is not None}
                        answer = route(self, **arguments)
                        break
                else:
                    raise HubError(HTTPStatus.NOT_FOUND, f"Not offered by this stand-in: {self.command} {url.path}")
                if answer is not None:
                    self.reply(json.dumps(answer).encode(), {"Content-Type": "application/json"})
            except HubError as error:
                headers = {"Content-Type": "application/json", "X-Error-Message": str(error)}
                if error.code:
                    headers["X-Error-Code"] = error.code
                if commit := getattr(self, "commit_oid", None):
                    headers["X-Repo-Commit"] = commit
                self.reply(json.dumps(error.body).encode(), headers, error.status)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, content: bytes, headers: dict[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def signed_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def require_token(self) -> None:
        if not self.signed_in:
            raise HubError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.")

    def repo(self, kind: str, repo_id: str) -> Repo:
        repo = self.hub.repos.get(f"{kind}/{repo_id}")
        if repo is None or (repo.private and not self.signed_in):
            # As on the hub, a private repository looks missing to strangers.
            status = HTTPStatus.NOT_FOUND if self.signed_in else HTTPStatus.UNAUTHORIZED
            raise HubError(status, "Repository not found", "RepoNotFound")
        return repo

    def writable(self, kind: str, repo_id: str) -> Repo:
        self.require_token()
        return self.repo(kind, repo_id)

    def whoami(self) -> dict:
        self.require_token()
        token = {"displayName": "stand-in", "role": "write"}
        return {
            "type": "user",
            "name": self.hub.user,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }

    def create(self) -> dict:
        self.require_token()
        asked = json.loads(self.body)
        if (asked.get("organization") or self.hub.user) != self.hub.user:
            raise HubError(HTTPStatus.FORBIDDEN, "You don't have the rights to create a repo under this namespace")
        kind, repo_id = f"{asked.get('type') or 'model'}s", f"{self.hub.user}/{asked['name']}"
        url = self.hub.endpoint + ("" if kind == "models" else f"/{kind}") + f"/{repo_id}"
        if f"{kind}/{repo_id}" in self.hub.repos:
            raise HubError(HTTPStatus.CONFLICT, "You already created this repo", url=url)
        repo = Repo(private=bool(asked.get("private")) or asked.get("visibility") == "private")
        attributes = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
        blob = Blob(git_blob_oid(attributes), self.hub.store(attributes), len(attributes), lfs=False)
        repo.commit("main", {".gitattributes": blob})
        self.hub.repos[f"{kind}/{repo_id}"] = repo
        return {"url": url, "name": repo_id}

    def branch(self, kind: str, repo_id: str, branch: str) -> dict:
        repo = self.writable(kind, repo_id)
        if branch in repo.heads:
            raise HubError(HTTPStatus.CONFLICT, f"Reference already exists: {branch}")
        repo.heads[branch] = repo.resolve(json.loads(self.body or b"{}").get("startingPoint") or "main")
        return {}

    def validate_yaml(self) -> dict:
        """Model-card front matter: missing is a warning, not YAML or not a mapping is an error."""
        front = re.match(r"---\r?\n(.*?)\r?\n---", json.loads(self.body)["content"], flags=re.DOTALL)
        try:
            metadata = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as error:
            raise HubError(
                HTTPStatus.BAD_REQUEST, "Invalid metadata", errors=[{"message": str(error)}], warnings=[]
            ) from error
        if metadata is None:
            return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        if not isinstance(metadata, dict):
            errors = [{"message": "metadata must be a mapping"}]
            raise HubError(HTTPStatus.BAD_REQUEST, "Invalid metadata", errors=errors, warnings=[])
        return {"errors": [], "warnings": []}

    def preupload(self, kind: str, repo_id: str, revision: str) -> dict:
        repo = self.writable(kind, repo_id)
        present = repo.commits[repo.resolve(revision)]
        answers = []
        for file in json.loads(self.body)["files"]:
            lfs = b"\0" in base64.b64decode(file["sample"]) or file["size"] > LFS_THRESHOLD
            old = present.get(file["path"])
            answer = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            answers.append(answer | ({"oid": old.etag} if old else {}))
        return {"files": answers}

    def lfs_batch(self, repo_id: str, kind: str = "models") -> dict:
        self.writable(kind, repo_id)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            upload, verify = f"{self.hub.endpoint}/lfs/{asked['oid']}", f"{self.hub.endpoint}/lfs/verify"
            missing = not (self.hub.contents / asked["oid"]).is_file()
            actions = {"actions": {"upload": {"href": upload}, "verify": {"href": verify}}} if missing else {}
            objects.append({"oid": asked["oid"], "size": asked["size"], **actions})
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self, oid: str) -> dict:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(HTTPStatus.BAD_REQUEST, "Content does not match its SHA-256")
        self.hub.store(self.body)
        return {}

    def lfs_verify(self) -> dict:
        self.require_token()
        asked = json.loads(self.body)
        path = self.hub.contents / asked["oid"]
        if not path.is_file() or path.stat().st_size != asked["size"]:
            raise HubError(HTTPStatus.NOT_FOUND, "Object was not uploaded")
        return {}

    def commit(self, kind: str, repo_id: str, revision: str) -> dict:
        repo = self.writable(kind, repo_id)
        if "create_pr" in self.query:
            raise HubError(HTTPStatus.BAD_REQUEST, "Pull requests are not offered by this stand-in")
        if revision not in repo.heads:
            raise HubError(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", "RevisionNotFound")
        files = dict(repo.commits[repo.heads[revision]])
        for line in self.body.splitlines():
            entry = json.loads(line)
            self.apply(entry["key"], entry["value"], files, parent=repo.heads[revision])
        oid = repo.commit(revision, files)
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.endpoint}/{repo_id}/commit/{oid}"}

    def apply(self, key: str, value: dict[str, Any], files: dict[str, Blob], parent: str) -> None:
        """One line of a commit, done to `files`."""
        if key == "header":
            if not parent.startswith(value.get("parentCommit") or ""):
                raise HubError(HTTPStatus.PRECONDITION_FAILED, "The branch has moved since parentCommit")
        elif key == "file":
            content = base64.b64decode(value["content"])
            files[value["path"]] = Blob(git_blob_oid(content), self.hub.store(content), len(content), lfs=False)
        elif key == "lfsFile":
            path = self.hub.contents / value["oid"]
            if not path.is_file():
                raise HubError(HTTPStatus.BAD_REQUEST, f"LFS object of {value['path']} was not uploaded")
            size = path.stat().st_size
            files[value["path"]] = Blob(git_blob_oid(pointer(value["oid"], size)), value["oid"], size, lfs=True)
        elif key in ("deletedFile", "deletedFolder"):
            folder = value["path"].rstrip("/") + "/"
            gone = [p for p in files if (p.startswith(folder) if key == "deletedFolder" else p == value["path"])]
            if not gone:
                message = f"A file with this name doesn't exist: {value['path']}"
                raise HubError(HTTPStatus.NOT_FOUND, message, "EntryNotFound")
            for path in gone:
                del files[path]
        else:
            raise HubError(HTTPStatus.BAD_REQUEST, f"Unknown operation in commit: {key}")

    def info(self, kind: str, repo_id: str, revision: str = "main") -> dict:
        repo = self.repo(kind, repo_id)
        oid = repo.resolve(revision)
        blobs = "blobs" in self.query
        siblings = [
            {"rfilename": path} | ({"blobId": b.git_oid, "size": b.size} if blobs else {})
            for path, b in sorted(repo.commits[oid].items())
        ]
        return {
            "_id": oid[:24],
            "id": repo_id,
            "author": self.hub.user,
            "sha": oid,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }

    def entries(self, files: dict[str, Blob]) -> dict[str, dict[str, Any]]:
        """Path -> description of every file and of every folder that holds one."""
        found = {path: blob.info(path) for path, blob in files.items()}
        for path in files:
            for parent in list(Path(path).parents)[:-1]:
                folder = parent.as_posix()
                found[folder] = {"type": "directory", "path": folder, "oid": git_blob_oid(folder.encode()), "size": 0}
        return found

    def tree(self, kind: str, repo_id: str, revision: str, path: str = "") -> list:
        repo = self.repo(kind, repo_id)
        self.commit_oid = repo.resolve(revision)
        entries = self.entries(repo.commits[self.commit_oid])
        if path and entries.get(path, {}).get("type") != "directory":
            raise HubError(HTTPStatus.NOT_FOUND, f"{path} does not exist on {revision}", "EntryNotFound")
        prefix = path + "/" if path else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        below = [p for p in sorted(entries) if p.startswith(prefix)]
        return [entries[p] for p in below if recursive or "/" not in p[len(prefix) :]]

    def paths_info(self, kind: str, repo_id: str, revision: str) -> list:
        repo = self.repo(kind, repo_id)
        entries = self.entries(repo.commits[repo.resolve(revision)])
        return [entries[path] for path in parse_qs(self.body.decode()).get("paths", []) if path in entries]

    def download(self, repo_id: str, revision: str, path: str, kind: str = "models") -> None:
        repo = self.repo(kind, repo_id)
        self.commit_oid = repo.resolve(revision)
        blob = repo.commits[self.commit_oid].get(path)
        if blob is None:
            raise HubError(HTTPStatus.NOT_FOUND, "Entry not found", "EntryNotFound")
        content = self.hub.content(blob.sha256)
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{blob.etag}"',
            "X-Repo-Commit": self.commit_oid,
            "Accept-Ranges": "bytes",
            "Last-Modified": formatdate(usegmt=True),
        }
        if blob.lfs:
            headers |= {"X-Linked-ETag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)}
        status = HTTPStatus.OK
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(wanted[1]), min(int(wanted[2] or blob.size - 1), blob.size - 1)
            if first > last:
                raise HubError(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "Range is past the end of the file")
            content, status = content[first : last + 1], HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {first}-{last}/{blob.size}"
        self.reply(content, headers, status)


KIND = r"(?P<kind>models|datasets|spaces)"
REPO = r"(?P<repo_id>[^/]+/[^/]+?)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    (("GET",), r"/api/whoami-v2", Handler.whoami),
    (("POST",), r"/api/repos/create", Handler.create),
    (("POST",), r"/api/validate-yaml", Handler.validate_yaml),
    (("POST",), rf"/api/{KIND}/{REPO}/branch/(?P<branch>[^/]+)", Handler.branch),
    (("POST",), rf"/api/{KIND}/{REPO}/preupload/{REVISION}", Handler.preupload),
    (("POST",), rf"/api/{KIND}/{REPO}/commit/{REVISION}", Handler.commit),
    (("POST",), rf"/api/{KIND}/{REPO}/paths-info/{REVISION}", Handler.paths_info),
    (("GET",), rf"/api/{KIND}/{REPO}/tree/{REVISION}(?:/(?P<path>.+))?", Handler.tree),
    (("GET",), rf"/api/{KIND}/{REPO}(?:/revision/{REVISION})?", Handler.info),
    (("POST",), rf"(?:/(?P<kind>datasets|spaces))?/{REPO}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (("PUT",), r"/lfs/(?P<oid>[0-9a-f]{64})", Handler.lfs_upload),
    (("POST",), r"/lfs/verify", Handler.lfs_verify),
    (("GET", "HEAD"), rf"(?:/(?P<kind>datasets|spaces))?/{REPO}/resolve/{REVISION}/(?P<path>.+)", Handler.download),
]
