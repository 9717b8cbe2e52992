# Loss a byte of each model of the recipe.
set style fill solid 0.8; set boxwidth 0.6; set yrange [0:*]; set ylabel 'nats a byte'; set xtics font ',10'; unset key
plot "< awk '/[0-9]$/ && !/^>/ { value = $(NF - 1); sub(/ *[0-9.]+ +[0-9.]+$/, \"\"); sub(/, /, \",\\\\n\"); print \"\\\"\" $0 \"\\\"\", value }' ".output \
     using 0:2:xticlabels(1) with boxes linetype 1, '' using 0:2:2 with labels offset 0,0.7 notitle
