# Prints JSON, four lines a second, each numbered.
trap 'exit 0' TERM
n=0
while :; do
	n=$((n + 1))
	level=info
	[ $((n % 10)) -eq 0 ] && level=warn
	[ $((n % 25)) -eq 0 ] && level=error
	trace=$(printf '%032x' $((n / 4 + 1)))
	echo "{\"level\":\"$level\",\"msg\":\"order taken\",\"n\":$n,\"items\":$((n % 7)),\"trace_id\":\"$trace\"}"
	usleep 250000
done
