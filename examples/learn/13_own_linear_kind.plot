# Outputs of one ternary layer against those of the dense one, while it trains.
set xlabel 'step'; set ylabel 'squared error, relative'; set yrange [0:*]
plot table using 1:2 with linespoints linetype 1 pointtype 7 pointsize 0.6 notitle
