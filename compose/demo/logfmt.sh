# Prints logfmt, two lines a second, each numbered; errors on stderr.
trap 'exit 0' TERM
n=0
while :; do
	n=$((n + 1))
	if [ $((n % 15)) -eq 0 ]; then
		echo "level=error msg=\"card declined\" n=$n" >&2
	else
		echo "level=info msg=\"paid\" n=$n amount=$((n * 37 % 900)).50"
	fi
	usleep 500000
done
