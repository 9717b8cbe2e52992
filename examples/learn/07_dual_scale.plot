# Squared error of a row's outputs, relative, with S_l = 1 and with the learned one.
set xlabel 'row'; set ylabel 'error of the outputs'; set yrange [0:*]; set xrange [-0.6:5.6]; set style fill solid 0.8; set boxwidth 0.35
plot table using ($1 - 0.18):5 with boxes linetype 5 title 'S_a alone', table using ($1 + 0.18):6 with boxes linetype 1 title 'S_l S_a'
