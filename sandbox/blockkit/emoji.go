package blockkit

// emoji returns the character of a short code. It knows the common ones; the
// others show as they are typed.
func emoji(code string) (string, bool) {
	char, ok := emojis[code]
	return char, ok
}

var emojis = map[string]string{
	"+1": "👍", "thumbsup": "👍", "-1": "👎", "thumbsdown": "👎",
	"white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "no_entry": "⛔",
	"warning": "⚠️", "rotating_light": "🚨", "fire": "🔥", "boom": "💥", "bug": "🐛",
	"rocket": "🚀", "ship": "🚢", "tada": "🎉", "eyes": "👀", "wave": "👋", "pray": "🙏",
	"hourglass": "⌛", "hourglass_flowing_sand": "⏳", "stopwatch": "⏱️", "alarm_clock": "⏰",
	"lock": "🔒", "unlock": "🔓", "key": "🔑", "bell": "🔔", "no_bell": "🔕",
	"rewind": "⏪", "leftwards_arrow_with_hook": "↩️", "arrow_right": "➡️", "arrow_left": "⬅️",
	"arrow_up": "⬆️", "arrow_down": "⬇️", "arrows_counterclockwise": "🔄",
	"octagonal_sign": "🛑", "double_vertical_bar": "⏸️", "arrow_forward": "▶️",
	"red_circle": "🔴", "large_blue_circle": "🔵", "large_green_circle": "🟢", "large_yellow_circle": "🟡",
	"white_circle": "⚪", "black_circle": "⚫", "smile": "😄", "slightly_smiling_face": "🙂", "thinking_face": "🤔",
	"heart": "❤️", "memo": "📝", "mag": "🔍", "bulb": "💡", "link": "🔗", "chart_with_upwards_trend": "📈",
	"chart_with_downwards_trend": "📉", "information_source": "ℹ️", "question": "❓", "exclamation": "❗", "robot_face": "🤖",
}
