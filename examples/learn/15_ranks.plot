# What a rank keeps of values, gradients and moments, by what is divided.
set xlabel 'ranks'; set ylabel 'kB a rank'; set yrange [0:*]; set logscale x 2; set xtics (1, 2, 4, 8)
plot table using 1:2 with linespoints linetype 5 title 'none', '' using 1:3 with linespoints linetype 1 title 'optimizer', \
     '' using 1:4 with linespoints linetype 2 title 'gradients', '' using 1:5 with linespoints linetype 3 title 'parameters'
