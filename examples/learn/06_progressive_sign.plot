# Losses of the same network on its way to signs.
set xlabel 'chunk'; set ylabel 'loss'; set logscale y; set format y '%.0e'
plot table using 1:2 with lines linetype 5 title 'vanilla, with signs', table using 1:3 with lines linetype 1 title 'progressive, with signs', \
     table using 1:4 with lines linetype 2 title 'progressive, with F'
