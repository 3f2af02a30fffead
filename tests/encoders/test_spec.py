from __future__ import annotations

from pathlib import Path

import pytest

from mediad.encoders import AUTO, EncoderSpec, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", EncoderSpec("auto")),
        (" descriptor ", EncoderSpec("descriptor")),
        ("timm:resnet50", EncoderSpec("timm", "resnet50")),
        ("timm:resnet50.a1_in1k", EncoderSpec("timm", "resnet50.a1_in1k")),
        (AUTO, EncoderSpec("open_clip", "ViT-B-32-256", "datacomp_s34b_b86k")),
        ("open_clip:/m/a.json:/m/a.pt", EncoderSpec("open_clip", config=Path("/m/a.json"), checkpoint=Path("/m/a.pt"))),
        (
            "open_clip:/m/odd:name.json:/m/c:1.pt",
            EncoderSpec("open_clip", config=Path("/m/odd:name.json"), checkpoint=Path("/m/c:1.pt")),
        ),
    ],
)
def test_parses(text: str, expected: EncoderSpec) -> None:
    assert parse(text) == expected
    assert parse(str(parse(text))) == expected


def test_paths_mean_the_same_in_every_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    spec = parse("open_clip:models/a.json:~/a.pt")
    assert (spec.config, spec.checkpoint) == (tmp_path / "models/a.json", Path("/home/somebody/a.pt"))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "expected"),
        ("Auto", 'did you mean "auto"'),
        ("descripter", 'did you mean "descriptor"'),
        ("openclip:ViT-B-32/openai", 'did you mean "open_clip:ViT-B-32/openai"'),
        ("ViT-B-32/openai", 'did you mean "open_clip:ViT-B-32/openai"'),
        ("resnet50", 'did you mean "timm:resnet50"'),
        ("open_clip:ViT-B-32", "open_clip:MODEL/PRETRAINED"),
        ("open_clip:a.json", "open_clip:a.json:CHECKPOINT"),
        ("open_clip:a.json:", "CONFIG.json:CHECKPOINT"),
        ("open_clip:../../etc/x", "no model's name"),
        ("timm:", "timm:MODEL"),
        ("timm:../x", "no model's name"),
        ("timm:hf-hub:someone/model", "timm:MODEL"),
        ("descriptor:2", "descriptor"),
    ],
)
def test_says_what_to_write_instead(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=r"encoder|open_clip|timm") as caught:
        parse(text)
    assert advice in str(caught.value)
