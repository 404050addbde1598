"""Config values and chat template of the tiny Qwen3-VL checkpoint that qwen_vl_models.py makes."""

from make_models import token_ids

# Like the published one, less tools: no system message of its own, and texts are not trimmed.
TEMPLATE = """\
{%- set pictures = namespace(value=0) %}
{%- set videos = namespace(value=0) %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for part in message.content %}
            {%- if message.role == 'user' and (part.type == 'image' or 'image' in part or 'image_url' in part) %}
                {%- set pictures.value = pictures.value + 1 %}
                {%- if add_vision_id %}Picture {{ pictures.value }}: {% endif -%}
                <|vision_start|><|image_pad|><|vision_end|>
            {%- elif message.role == 'user' and (part.type == 'video' or 'video' in part) %}
                {%- set videos.value = videos.value + 1 %}
                {%- if add_vision_id %}Video {{ videos.value }}: {% endif -%}
                <|vision_start|><|video_pad|><|vision_end|>
            {%- elif 'text' in part %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""


def settings(tokenizer):
    """Text, vision and top-level values of a config, and the RoPE values, as both spellings have them.

    The hidden size is not heads × head_dim, so that leaving head_dim unread shows.
    """
    text = {
        "attention_bias": False, "attention_dropout": 0.0, "head_dim": 16, "hidden_act": "silu", "hidden_size": 48,
        "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 1024,
        "model_type": "qwen3_vl_text", "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-2, "use_cache": True, "vocab_size": 704, **token_ids(tokenizer),
    }
    vision = {
        "deepstack_visual_indexes": [0, 2], "depth": 4, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 32,
        "in_channels": 3, "initializer_range": 0.02, "intermediate_size": 80, "num_heads": 2,
        "num_position_embeddings": 16, "out_hidden_size": 48, "patch_size": 16, "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    top = {f"{kind}_token_id": tokenizer.token_to_id(f"<|{text}|>") for kind, text in [
        ("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"), ("vision_end", "vision_end")]}
    return text, vision, {**top, "tie_word_embeddings": False}, (100.0, [4, 2, 2])


def version4(text, vision, top, rope):
    """config.json as the published folders have it, with the tower's model type unlike what transformers 5 calls it."""
    text = {**text, "dtype": "bfloat16", "rope_theta": rope[0], "rope_scaling": {
        "mrope_interleaved": True, "mrope_section": rope[1], "rope_type": "default"}}
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "text_config": text, **top,
        "transformers_version": "4.57.0.dev0", "vision_config": {"model_type": "qwen3_vl", **vision},
    }


def version5(text, vision, top, rope):
    """The values of a config as transformers 5 saves a published one again."""
    text = {**text, "rope_parameters": {
        "mrope_interleaved": True, "mrope_section": rope[1], "rope_theta": rope[0], "rope_type": "default"}}
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"], "dtype": "bfloat16", "text_config": text, **top,
        "vision_config": {"model_type": "qwen3_vl_vision", **vision},
    }
