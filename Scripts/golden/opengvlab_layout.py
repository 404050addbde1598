"""Renames a Hugging Face InternVL model to OpenGVLab's internvl_chat layout: tensor names and config.json."""

import re

import torch

# Hugging Face parameter name (as in `named_parameters`) → OpenGVLab name; q, k and v are fused apart from these.
RENAMES = [
    (r"^model\.vision_tower\.embeddings\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^model\.vision_tower\.embeddings\.position_embeddings$", "vision_model.embeddings.position_embedding"),
    (r"^model\.vision_tower\.embeddings\.patch_embeddings\.projection\.", "vision_model.embeddings.patch_embedding."),
    (r"^model\.vision_tower\.encoder\.layer\.(\d+)\.", r"vision_model.encoder.layers.\1."),
    (r"\.attention\.projection_layer\.", ".attn.proj."),
    (r"\.attention\.(q|k)_norm\.", r".attn.\1_norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.lambda_([12])$", r".ls\1"),
    (r"^model\.multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^model\.multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^model\.multi_modal_projector\.linear_2\.", "mlp1.3."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
]


def opengvlab_name(name):
    """The OpenGVLab name of a parameter; for q, k and v that of the matrix they are stacked in, `attn.qkv`."""
    name = re.sub(r"\.attention\.[qkv]_proj\.", ".attn.qkv.", name)
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def opengvlab_name_and_tensors(model):
    """Each OpenGVLab tensor name with its value; q, k and v rows are stacked in that order as `attn.qkv`."""
    parts = {}
    for name, value in model.named_parameters():  # A tied lm_head is not listed, as in published tied folders.
        letter = re.search(r"\.attention\.([qkv])_proj\.", name)
        parts.setdefault(opengvlab_name(name), {})[letter[1] if letter else "all"] = value.detach()
    for name, values in parts.items():
        yield name, values["all"] if "all" in values else torch.cat([values[letter] for letter in "qkv"])


def fill_from_opengvlab(model, stored):
    """The inverse: sets the parameters of `model` to the values of OpenGVLab names, all of which must be used."""
    unused = set(stored)
    for name, parameter in model.named_parameters():
        value = stored[opengvlab_name(name)].float()
        unused.discard(opengvlab_name(name))
        letter = re.search(r"\.attention\.([qkv])_proj\.", name)
        parameter.copy_(value.chunk(3)["qkv".index(letter[1])] if letter else value)
    assert not unused, unused


def text_settings(config):
    """`llm_config` with the text settings of `config`: version 4 spellings of RoPE."""
    text = config.text_config
    rope = dict(text.rope_parameters)
    theta, kind = rope.pop("rope_theta"), rope["rope_type"]
    shared = ["attention_dropout", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range",
              "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers",
              "num_key_value_heads", "pad_token_id", "rms_norm_eps", "vocab_size"]
    llm = {key: getattr(text, key) for key in shared}
    llm["architectures"] = ["Qwen2ForCausalLM" if text.model_type == "qwen2" else "LlamaForCausalLM"]
    llm["model_type"] = text.model_type
    llm["rope_theta"] = theta
    llm["rope_scaling"] = None if kind == "default" else rope
    llm["tie_word_embeddings"] = config.tie_word_embeddings
    if text.model_type == "qwen2":
        llm.update(sliding_window=None, use_sliding_window=False, max_window_layers=text.num_hidden_layers)
    else:
        llm.update(attention_bias=False, mlp_bias=False, head_dim=text.head_dim, pretraining_tp=1)
    return llm


def opengvlab_config(config, stored_type, llm=None):
    """config.json as OpenGVLab folders have it, with `llm` as its text part or else that of `config`."""
    type_name = str(stored_type).removeprefix("torch.")
    vision = config.vision_config
    llm = {**(llm or text_settings(config)), "torch_dtype": type_name, "use_cache": True}
    size = vision.image_size[0]
    return {
        "_commit_hash": None,
        "architectures": ["InternVLChatModel"],
        "auto_map": {
            "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
            "AutoModel": "modeling_internvl_chat.InternVLChatModel",
            "AutoModelForCausalLM": "modeling_internvl_chat.InternVLChatModel",
        },
        "downsample_ratio": config.downsample_ratio,
        "dynamic_image_size": True,
        "force_image_size": size,
        "llm_config": dict(sorted(llm.items())),
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": type_name,
        "transformers_version": None,
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "attention_dropout": 0.0,
            "drop_path_rate": 0.1,
            "dropout": 0.0,
            "hidden_act": vision.hidden_act,
            "hidden_size": vision.hidden_size,
            "image_size": size,
            "initializer_factor": 1.0,
            "initializer_range": 0.02,
            "intermediate_size": vision.intermediate_size,
            "layer_norm_eps": vision.layer_norm_eps,
            "model_type": "intern_vit_6b",
            "norm_type": vision.norm_type,
            "num_attention_heads": vision.num_attention_heads,
            "num_channels": vision.num_channels,
            "num_hidden_layers": vision.num_hidden_layers,
            "patch_size": vision.patch_size[0],
            "qk_normalization": vision.use_qk_norm,
            "qkv_bias": vision.attention_bias,
            "torch_dtype": type_name,
            "use_bfloat16": type_name == "bfloat16",
            "use_flash_attn": True,
        },
    }
