# Sharpness of each chunk.
set xlabel 'c'; set ylabel 't'; set key top left
plot table using 1:2 with lines linetype 1 title 'exponential', table using 1:5 with lines linetype 3 title 'degree-uniform', \
     table using 1:6 with lines linetype 5 title 'uniform', table using 1:7 with lines linetype 4 title 'logarithmic', \
     table using 1:9 with lines linetype 2 title 'yours'
