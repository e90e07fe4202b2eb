# Prints plain text, one line a second, each numbered; a long line now and then, of more than the engine's 16 KiB.
trap 'exit 0' TERM
n=0
while :; do
	n=$((n + 1))
	if [ $((n % 20)) -eq 0 ]; then
		echo "report n=$n $(printf '%020000d' 0)"
	else
		echo "$(date -u) report n=$n: größer als gestern"
	fi
	sleep 1
done
