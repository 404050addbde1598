"""What `make_qwen_vl.py --check` does: proves that the golden references of Qwen-VL would notice mistakes.

Also compares our resizing, both spellings of a config, the processors' token ids and `generate` with transformers'.
"""

import json
import types

import torch
from transformers import AutoTokenizer, Qwen2_5_VLProcessor, Qwen2VLProcessor, Qwen3VLProcessor
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as theirs

import qwen3_vl_mistakes
import qwen_moe_mistakes
import qwen_vl_mistakes
import tiling
from check_references import floats
from fixture_paths import GOLDEN, IMAGES, MODELS
from make_qwen_moe import AHEAD, choices
from make_qwen_vl import CASES, STEPS, decode, forward, picture, question, smart_resize
from qwen_vl_models import CLASSES, PICTURES, load, make_tokenizer, settings, template, version4, version5

NOTICED = 5e-4  # Every mistake moves the logits by more; tests compare more closely than this.


@torch.no_grad()
def check_model(name, tokenizer):
    """Prints what every mistake does to the case with three pictures; ends on one that nothing would notice."""
    golden = {case["name"]: case for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]}
    assert len({tuple(case["greedy_ids"]) for case in golden.values()}) == len(CASES), "every case answers differently"
    model = load(name)
    ahead = choices(model)
    for case, messages in CASES.items():
        asked, stored = question(model, tokenizer, messages), golden[case]
        assert asked.ids[0].tolist() == stored["input_ids"] and asked.positions[:, 0].tolist() == stored["positions"]
        output = forward(model, asked)[0]
        assert (output.logits[0, -1] - floats(stored["logits"])).abs().max() < 1e-5, case
        pictures = {} if asked.pixels is None else {"pixel_values": asked.pixels, "image_grid_thw": asked.grids}
        made = model.generate(
            input_ids=asked.ids, attention_mask=torch.ones_like(asked.ids), mm_token_type_ids=asked.types,
            do_sample=False, max_new_tokens=STEPS, min_new_tokens=STEPS, eos_token_id=[], **pictures)
        assert made[0, -STEPS:].tolist() == stored["greedy_ids"], case
        if pictures:
            rightly = len(ahead)
            late = decode(model, output, asked.ids.shape[1])
            del ahead[rightly:]
            moved = max(abs(a - b) for step, other in zip(late[1:], stored["steps"][1:])
                        for a, b in zip(step["top_logprobs"], other["top_logprobs"]))
            print(f"  {name} {case}: decoding at 1-D positions moves logprobs by {moved:.4f}")
            assert moved > NOTICED
    print(f"  {name}: {len(CASES)} cases decode as transformers' generate does")
    assert not ahead or min(ahead) > AHEAD, "a near tie between experts"
    asked, expected = question(model, tokenizer, CASES["three-images"]), floats(golden["three-images"]["logits"])
    kind = {"qwen3-vl": qwen3_vl_mistakes, "qwen3-vl-moe": qwen_moe_mistakes}.get(name, qwen_vl_mistakes)
    for mistake, change in kind.mistakes(model, asked):
        fresh, changed = load(name), types.SimpleNamespace(**vars(asked))
        change(fresh, changed)
        report(name, mistake, forward(fresh, changed)[0].logits[0, -1], expected)


def report(name, mistake, logits, expected):
    """Prints what a mistake does; ends on one that nothing would notice."""
    moved, token = float((logits - expected).abs().max()), int(logits.argmax()) != int(expected.argmax())
    print(f"  {name} {mistake:44} logits move by {moved:8.4f}{'  first token changes' if token else ''}")
    assert moved > NOTICED, mistake


def check_spellings(name, tokenizer):
    """The committed config and both spellings of it are the same to transformers."""
    config_class = CLASSES[name][0]
    compare_spellings(name, [config_class.from_pretrained(MODELS / name)] + [
        config_class(**spelling(name, *settings(name, tokenizer))) for spelling in (version4, version5)])


def compare_spellings(name, read):
    """These configs are the same, but for what does not matter."""
    ignored = {"_name_or_path", "transformers_version", "architectures", "dtype", "in_chans", "spatial_patch_size"}

    def values(config):
        if not isinstance(config, dict):
            return config
        return {key: values(value) for key, value in config.items() if key not in ignored}
    read = [values(config.to_dict()) for config in read]
    differing = {key for one in read for key in read[0].keys() | one.keys() if one.get(key) != read[0].get(key)}
    assert not differing, [[one.get(key) for one in read] for key in differing]
    print(f"  {name}: both spellings of the config are the same")


def check_processor(name):
    """transformers' own processor and template, with the folder's files, give the golden prompts, ids and pixels."""
    folder = MODELS / name
    kind = {"qwen2-vl": Qwen2VLProcessor, "qwen2_5-vl": Qwen2_5_VLProcessor}.get(name, Qwen3VLProcessor)
    kind.check_argument_for_proper_class = lambda *arguments: None     # Its video part needs torchvision.
    stored = ((folder / "chat_template.jinja").read_text() if name == "qwen2_5-vl"
              else json.loads((folder / "chat_template.json").read_text())["chat_template"])
    assert stored == template(name)
    processor = kind(theirs.Qwen2VLImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder),
                     chat_template=stored)
    for case in json.loads((GOLDEN / f"{name}.json").read_text())["cases"]:
        assert processor.apply_chat_template(case["messages"], add_generation_prompt=True) == case["prompt"]
        images = [tiling.open_rgb(IMAGES / image["file"]) for image in case["images"]] or None
        inputs = processor(images=images, text=case["prompt"], return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == case["input_ids"], case["name"]
        if images:
            pixels, grids, _ = zip(*(picture(image["file"], PICTURES[name]) for image in case["images"]))
            assert torch.equal(inputs["pixel_values"], torch.cat(pixels)), case["name"]
            assert torch.equal(inputs["image_grid_thw"], torch.cat(grids)), case["name"]
    print(f"  {name}: the processor agrees on {len(CASES)} cases")


def check_resizing():
    """Our sizes against transformers' for many pictures, with the fixtures' and the published limits."""
    compared = 0
    fixtures = {(look.min_pixels, look.max_pixels, 2 * look.patch) for look in PICTURES.values()}
    for least, most, factor in [*fixtures, (3136, 12845056, 28), (256 * 28 * 28, 1280 * 28 * 28, 28),
                                (65536, 16777216, 32)]:
        for width in [*range(1, 200), *range(200, 4000, 37)]:
            for height in [*range(1, 200, 3), 14, 42, 70, 98, *range(200, 4000, 43)]:
                if max(width, height) <= 200 * min(width, height):
                    high, wide = theirs.smart_resize(height, width, factor, least, most)
                    assert smart_resize(width, height, least, most, factor) == (wide, high), (width, height)
                    compared += 1
    print(f"  sizes equal for {compared} pictures")


def check(names):
    """All checks."""
    check_resizing()
    tokenizer = make_tokenizer()
    for name in names:
        check_spellings(name, tokenizer)
        check_processor(name)
        check_model(name, tokenizer)
