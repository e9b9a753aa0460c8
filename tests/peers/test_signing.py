"""Signatures of bundles and those of OpenSSF's model_signing are the same, in both directions.

Takes the binaries from ONEMARK_BIN_DIR (default: target/debug).
"""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))


def onemark(*words):
    return subprocess.run([BINARIES / "onemark", *words], capture_output=True, text=True)


def reference(*words):
    return subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True)


def succeeds(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "head19.onemark"
    subprocess.run([BINARIES / "onemark-export", "phantom", "--untrained", "--out", path], check=True)
    return path


@pytest.fixture
def bundle(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "head19.onemark"))


def make_keys(folder, name, form=serialization.PrivateFormat.PKCS8):
    """A private and a public key in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    private.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def signed_by_reference(bundle, key, signature):
    succeeds(reference("sign", "key", bundle, "--private_key", key, "--signature", signature))


def verified_by_reference(bundle, key, signature):
    return reference("verify", "key", bundle, "--public_key", key, "--signature", signature)


def statement(signature):
    return json.loads(b64decode(json.loads(signature.read_text())["dsseEnvelope"]["payload"]))


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_the_reference_verifies_our_signature(bundle, tmp_path, form):
    private, public = make_keys(tmp_path, "lab", getattr(serialization.PrivateFormat, form))
    signature = tmp_path / "head19.onemark.sig"
    succeeds(onemark("sign", bundle, "--key", private))
    succeeds(verified_by_reference(bundle, public, signature))
    # Not with another key, and not another bundle.
    assert verified_by_reference(bundle, make_keys(tmp_path, "other")[1], signature).returncode != 0
    with open(bundle / "weights.bin", "r+b") as weights:
        weights.write(b"\1\2\3\4")
    changed = verified_by_reference(bundle, public, signature)
    assert changed.returncode != 0 and "Hash mismatch for 'weights.bin'" in changed.stdout + changed.stderr


def test_we_verify_the_signature_of_the_reference(bundle, tmp_path):
    private, public = make_keys(tmp_path, "lab")
    # OpenSSL's signatures have random numbers in them: some verifiers refuse half of them.
    for number in range(8):
        signature = tmp_path / f"{number}.sig"
        signed_by_reference(bundle, private, signature)
        told = succeeds(onemark("verify", bundle, "--trust", public, "--signature", signature))
        assert "signed with the key lab.pem (SHA-256 " in told
    other = onemark("verify", bundle, "--trust", make_keys(tmp_path, "other")[1], "--signature", signature)
    assert other.returncode != 0 and "a key that is not trusted" in other.stderr
    with open(bundle / "weights.bin", "r+b") as weights:
        weights.write(b"\1\2\3\4")
    changed = onemark("verify", bundle, "--trust", public, "--signature", signature)
    assert changed.returncode != 0 and "weights.bin" in changed.stderr


def test_both_sign_the_same(bundle, tmp_path):
    private, _ = make_keys(tmp_path, "lab")
    succeeds(onemark("sign", bundle, "--key", private, "--out", tmp_path / "ours.sig"))
    signed_by_reference(bundle, private, tmp_path / "theirs.sig")
    ours, theirs = statement(tmp_path / "ours.sig"), statement(tmp_path / "theirs.sig")
    # We leave nothing out; it leaves out what git may have put there.
    theirs["predicate"]["serialization"].pop("ignore_paths")
    # It is the folder's name there, and that in the manifest here.
    for one in [ours, theirs]:
        one["subject"][0].pop("name")
    assert ours == theirs
    hints = [json.loads((tmp_path / name).read_text())["verificationMaterial"] for name in ["ours.sig", "theirs.sig"]]
    assert hints[0] == hints[1]


def test_what_the_reference_ignores_is_refused(bundle, tmp_path):
    private, public = make_keys(tmp_path, "lab")
    signature = tmp_path / "head19.onemark.sig"
    (bundle / ".gitignore").write_text("*")
    signed_by_reference(bundle, private, signature)
    succeeds(verified_by_reference(bundle, public, signature))
    told = onemark("verify", bundle, "--trust", public)
    assert told.returncode != 0 and ".gitignore is not listed in the manifest" in told.stderr
