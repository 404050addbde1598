"""Config values of the tiny checkpoints with experts: Qwen3-VL-MoE, which qwen_vl_models.py makes, and Qwen3-MoE."""

import qwen3_vl_config
from make_models import token_ids

TEMPLATE = qwen3_vl_config.TEMPLATE


def settings(tokenizer):
    """Qwen3-VL-MoE: Qwen3-VL's with experts in the first and the last layer.

    Neither two experts' intermediate sizes nor one are the hidden size: transformers tells by the shapes whether
    experts are stored as in the published folders, and takes square ones as they are, which would be wrong.
    """
    text, vision, top, rope = qwen3_vl_config.settings(tokenizer)
    text = {**text, "model_type": "qwen3_vl_moe_text", "decoder_sparse_step": 1, "mlp_only_layers": [1],
            "moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts": 6, "num_experts_per_tok": 2}
    return text, vision, top, rope


def version4(text, vision, top, rope):
    """config.json as the published folders have it, with the tower's model type unlike what transformers 5 calls it."""
    config = qwen3_vl_config.version4(text, vision, top, rope)
    return {**config, "architectures": ["Qwen3VLMoeForConditionalGeneration"], "model_type": "qwen3_vl_moe",
            "vision_config": {**config["vision_config"], "model_type": "qwen3_vl_moe"}}


def version5(text, vision, top, rope):
    """The values of a config as transformers 5 saves a published one again, with another name for `num_experts`."""
    config = qwen3_vl_config.version5(renamed(text), vision, top, rope)
    return {**config, "architectures": ["Qwen3VLMoeForConditionalGeneration"],
            "vision_config": {**config["vision_config"], "model_type": "qwen3_vl_moe_vision"}}


def renamed(text):
    """Text values with the name that transformers 5 has for the number of experts."""
    text = {**text, "num_local_experts": text["num_experts"]}
    del text["num_experts"]
    return text


def text_settings(tokenizer):
    """Qwen3-MoE, text only: every second layer has experts, whose weights need not sum to one."""
    return {
        "attention_bias": False, "attention_dropout": 0.0, "decoder_sparse_step": 2, "head_dim": 16,
        "hidden_act": "silu", "hidden_size": 40, "initializer_range": 0.02, "intermediate_size": 72,
        "max_position_embeddings": 1024, "mlp_only_layers": [], "moe_intermediate_size": 20, "norm_topk_prob": False,
        "num_attention_heads": 4, "num_experts": 5, "num_experts_per_tok": 2, "num_hidden_layers": 4,
        "num_key_value_heads": 2, "output_router_logits": False, "rms_norm_eps": 1e-2, "router_aux_loss_coef": 0.001,
        "sliding_window": None, "tie_word_embeddings": False, "use_cache": True, "use_sliding_window": False,
        "vocab_size": 704, **token_ids(tokenizer),
    }


def text_version4(text):
    """config.json as the published Qwen3-MoE folders have it."""
    return {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", **text, "max_window_layers": 4,
            "rope_scaling": None, "rope_theta": 1000.0, "torch_dtype": "float16", "transformers_version": "4.51.0"}


def text_version5(text):
    """The values of this config as transformers 5 saves it again."""
    return {"architectures": ["Qwen3MoeForCausalLM"], "dtype": "float16", **renamed(text), "max_window_layers": 4,
            "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"}}
