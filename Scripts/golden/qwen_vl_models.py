"""The tiny random Qwen-VL checkpoints that make_qwen_vl.py writes, in the published layouts."""

import hashlib
import json
import shutil
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from transformers import (
    Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen3VLConfig,
    Qwen3VLForConditionalGeneration, Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration,
)

import fixture_tokenizer
import qwen3_vl_config
import qwen_moe_config
from fixture_paths import FIXTURES, MODELS
from fixture_tokenizer import write_json
from make_models import token_ids

MERGE = 2


class Pictures(NamedTuple):
    """How a model takes pictures: side of a patch, limits of the resized area in pixels, mean and deviation."""
    patch: int
    min_pixels: int
    max_pixels: int
    mean: list
    std: list


CLIP = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
OLDER = Pictures(14, 4 * 28 * 28, 48 * 28 * 28, *CLIP)
# At least 12 tokens, so that some of the pictures are too small.
NEWER = Pictures(16, 12 * 32 * 32, 48 * 32 * 32, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
PICTURES = {"qwen2-vl": OLDER, "qwen2_5-vl": OLDER, "qwen3-vl": NEWER, "qwen3-vl-moe": NEWER}
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                  "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
MARK = "<|image_pad|>"
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark; with
# experts, no choice among them is a near tie either.
SEEDS = {"qwen2-vl": "qwen2-vl2279", "qwen2_5-vl": "qwen2_5-vl1177", "qwen3-vl": "qwen3-vl2363",
         "qwen3-vl-moe": "qwen3-vl-moe2185"}
CLASSES = {"qwen2-vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration, torch.float16, "200KB"),
           "qwen2_5-vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, torch.bfloat16, "5GB"),
           "qwen3-vl": (Qwen3VLConfig, Qwen3VLForConditionalGeneration, torch.bfloat16, "5GB"),
           "qwen3-vl-moe": (Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, torch.bfloat16, "5GB")}
NEWER_CONFIGS = {"qwen3-vl": qwen3_vl_config, "qwen3-vl-moe": qwen_moe_config}


def name_of(model):
    """The folder's name."""
    return model.config.model_type.replace("_vl", "-vl").replace("_moe", "-moe")


def make_tokenizer():
    """The InternVL fixtures' tokenizer with Qwen2-VL's special tokens."""
    content = json.loads((MODELS / "internvl-qwen2-hf" / "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    return tokenizer


def settings(name, tokenizer):
    """Text, vision and top-level values of a config, and the RoPE values, as both spellings have them.

    The bases are small, as the last section's turning (columns) would be too slow to notice with published ones.
    """
    if name in NEWER_CONFIGS:
        return NEWER_CONFIGS[name].settings(tokenizer)
    other = name == "qwen2_5-vl"
    text = {
        "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 64 if other else 48, "initializer_range": 0.02,
        "intermediate_size": 112, "max_position_embeddings": 1024, "max_window_layers": 2,
        "num_attention_heads": 4 if other else 3, "num_hidden_layers": 2, "num_key_value_heads": 2 if other else 1,
        "rms_norm_eps": 1e-2, "use_cache": True, "use_sliding_window": False, "vocab_size": 704, **token_ids(tokenizer),
    }
    vision = {"patch_size": OLDER.patch, "spatial_merge_size": MERGE, "temporal_patch_size": 2}
    if other:
        vision.update(depth=4, hidden_act="silu", hidden_size=48, num_heads=3, intermediate_size=84, window_size=56,
                      fullatt_block_indexes=[1, 3], out_hidden_size=64, tokens_per_second=2)
    else:
        vision.update(depth=3, embed_dim=32, num_heads=2, mlp_ratio=4, hidden_act="quick_gelu", hidden_size=48)
    top = {f"{kind}_token_id": tokenizer.token_to_id(f"<|{text}|>") for kind, text in [
        ("vision_start", "vision_start"), ("vision_end", "vision_end"), ("vision", "vision_pad"),
        ("image", "image_pad"), ("video", "video_pad")]}
    return text, vision, {**top, "tie_word_embeddings": not other}, (100.0 if other else 1000.0, [2, 3, 3])


def version4(name, text, vision, top, rope):
    """config.json as the published folders have it: text values at the top, no quick GELU named."""
    if name in NEWER_CONFIGS:
        return NEWER_CONFIGS[name].version4(text, vision, top, rope)
    vision = {key: value for key, value in vision.items() if value != "quick_gelu"}
    return {
        "architectures": [CLASSES[name][1].__name__], "model_type": name.replace("-", "_"), **text, **top,
        "rope_scaling": {"type": "mrope", "mrope_section": rope[1]}, "rope_theta": rope[0], "sliding_window": 1024,
        "torch_dtype": str(CLASSES[name][2])[6:], "transformers_version": "4.41.2",
        "vision_config": {**vision, "in_chans": 3, "spatial_patch_size": OLDER.patch},
    }


def version5(name, text, vision, top, rope):
    """The values of a config as transformers 5 saves a published one again."""
    if name in NEWER_CONFIGS:
        return NEWER_CONFIGS[name].version5(text, vision, top, rope)
    text = {**text, "rope_parameters": {
        "mrope_section": rope[1], "rope_theta": rope[0], "rope_type": "default", "type": "mrope"}}
    return {
        "architectures": [CLASSES[name][1].__name__], "dtype": str(CLASSES[name][2])[6:], "text_config": text, **top,
        "vision_config": {**vision, "in_channels": 3},
    }


def make_model(name, tokenizer, seed):
    """The model with its parameters drawn."""
    config_class, model_class, stored_type, _ = CLASSES[name]
    model = model_class(config_class(**version5(name, *settings(name, tokenizer)))).eval()
    return draw(model, stored_type, tokenizer, seed)


@torch.no_grad()
def draw(model, stored_type, tokenizer, seed):
    """Draws every parameter from its name and the seed, and rounds it to the stored type."""
    model.set_attn_implementation("eager")
    quiet, tied = torch.ones(model.config.get_text_config().vocab_size, 1), model.config.tie_word_embeddings
    quiet[[tokenizer.token_to_id(MARK), tokenizer.token_to_id("<|video_pad|>")]] = 0.1
    quiet[tokenizer.get_vocab_size():] = 0.1
    for key, parameter in model.named_parameters():
        digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "little"))
        noise = torch.randn(parameter.shape, generator=generator)
        if ("norm" in key or "ln_q" in key) and key.endswith("weight"):
            value = (1.6 if key.endswith(("q_norm.weight", "k_norm.weight")) else 1.0) + 0.3 * noise
        elif key.endswith("bias"):
            value = 0.3 * noise - (2.0 if key.endswith("linear_fc1.bias") else 0.0)     # There the GELUs differ.
        elif key.endswith("embed_tokens.weight"):
            value = noise * quiet * (0.3 if tied else 1.0)
        elif key.endswith("pos_embed.weight"):
            value = 0.5 * noise
        elif key == "lm_head.weight":
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        else:
            gain = 1.3 if ".blocks." in key else 2.2 if tied else 1.6   # More in the tower would make it chaotic.
            gain = 1.0 if "linear_fc1" in key else 6.0 if "linear_fc2" in key else gain     # Qwen3-VL's.
            entries = parameter.shape[-1] if ".experts." in key else parameter[0].numel()
            value = gain * noise / entries ** 0.5
        parameter.data.copy_(value.to(stored_type).float())
    return model


def template(name):
    """The chat template of a folder."""
    if name in NEWER_CONFIGS:
        return NEWER_CONFIGS[name].TEMPLATE
    return (FIXTURES / "templates" / "qwen25-vision.jinja").read_text().rstrip("\n")


def save(name, model, tokenizer):
    """The folder of a checkpoint, in the published layout."""
    folder, (_, _, stored_type, shard_size) = MODELS / name, CLASSES[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.to(stored_type).save_pretrained(folder, max_shard_size=shard_size)    # Gives tensors their hub names.
    model.float()
    if name == "qwen3-vl-moe":
        transpose_experts(folder / "model.safetensors")
    if name == "qwen2_5-vl":
        (folder / "chat_template.jinja").write_text(template(name), encoding="utf-8")
    else:
        write_json(folder / "config.json", version4(name, *settings(name, tokenizer)))
        write_json(folder / "chat_template.json", {"chat_template": template(name)})
    processor = model.__class__.__name__.replace("Moe", "").replace("ForConditionalGeneration", "Processor")
    patch, least, most, mean, deviation = PICTURES[name]
    limits, kind = {"min_pixels": least, "max_pixels": most}, "Qwen2VLImageProcessor"
    if name in NEWER_CONFIGS:
        limits, kind = {"size": {"longest_edge": most, "shortest_edge": least}}, kind + "Fast"
    write_json(folder / "preprocessor_config.json", {
        **limits, "patch_size": patch, "temporal_patch_size": 2, "merge_size": MERGE, "image_mean": mean,
        "image_std": deviation, "image_processor_type": kind, "processor_class": processor})
    save_tokenizer(folder, tokenizer)


def transpose_experts(file):
    """Stores experts as the published folders do, [experts, entries, results]; transformers 5 saves them otherwise."""
    tensors = load_file(file)
    save_file({key: tensor.transpose(1, 2).contiguous() if ".experts." in key else tensor
               for key, tensor in tensors.items()}, file, metadata={"format": "pt"})


def save_tokenizer(folder, tokenizer, **others):
    """The tokenizer and the ids generation begins and ends with; `others` is for the tokenizer's config."""
    ids = token_ids(tokenizer)
    write_json(folder / "generation_config.json", {
        **ids, "do_sample": False, "eos_token_id": [ids["eos_token_id"], ids["pad_token_id"]]})
    content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(content + "\n", encoding="utf-8")
    added = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config = fixture_tokenizer.tokenizer_config(tokenizer, 1024, hugging_face_layout=False)
    del config["chat_template"]
    write_json(folder / "tokenizer_config.json", {
        **config, "additional_special_tokens": SPECIAL_TOKENS[1:], "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {"content": text, **added} for text in SPECIAL_TOKENS}, **others})
    for file in folder.iterdir():
        file.chmod(0o644)


def load(name):
    """The committed checkpoint in float32 with plain attention."""
    model = CLASSES[name][1].from_pretrained(MODELS / name, dtype=torch.float32, attn_implementation="eager").eval()
    if name == "qwen3-vl-moe":
        model.set_experts_implementation("eager")
    return model
