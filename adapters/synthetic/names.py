"""
Names, streets and places for made-up people: written for this purpose; postcodes and towns are real.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from domain.facts import Region


class Place(NamedTuple):
    region: Region
    postcode: str
    town: str
    country: str = "BE"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _places(region: Region, text: str) -> tuple[Place, ...]:
    lines = (line.strip().partition(" ") for line in text.strip().split(","))
    return tuple(Place(region, postcode, town) for postcode, _, town in lines)


SURNAMES: Final = _names(
    """
    Peeters, Janssens, Maes, Jacobs, Mertens, Willems, Claes, Goossens, Wouters, De Smet, Vermeulen, Pauwels, Dubois,
    Hermans, Aerts, Michiels, Martens, De Vos, Desmet, Hendrickx, Van Damme, De Clercq, Van den Broeck, Verhoeven,
    Coppens, Cools, Stevens, Verstraete, De Backer, Van de Velde, Smets, Lemmens, Thijs, Bogaerts, Claeys, Segers,
    Van Hoof, Declercq, Vandenberghe, De Cock, Timmermans, Wuyts, De Meyer, Lambrecht, Baert, Verbeke, Geerts,
    Van Acker, Vercammen, Christiaens, Moens, Adriaenssens, Bosmans, Dewulf, Nys, De Ridder, Naessens, Verlinden,
    Vandevelde, Lauwers, Engelen, Vanhoutte, Deprez, Torfs, Callens, Verschueren, De Wilde, Dhondt, Gielen, Roels,
    Huybrechts, Beckers, Van Looy, Raes, Cuypers, Ceulemans, Debruyne, Theunis, Vervoort, Schepers, D'Hooghe,
    Yıldız, El Amrani, Benali, Nguyen, Kowalski, Özdemir, Ait Said, Diallo, Popescu, Mukendi, Van Cauwenberghe,
    Vanden Bossche, Vandenbroucke, Depoorter, Ghesquière, Desmedt, Rombouts, Somers, Quintens, Put, Op de Beeck
    """
)
WOMEN: Final = _words(
    """
    Maria Anna Rita Godelieve Christiane Monique Jeannine Lutgarde Paula Simonne Ingrid Hilde Carine Martine Nadine
    Greet Katrien Veerle Ann Els Sofie Sarah Lies Lotte Emma Marie Julie Elise Laura Charlotte Hanne Silke Nele Ines
    Fatima Aïcha Yasmina Zeynep Agnieszka Chloé Noor Olivia Louise Ella Mila Juliette Lien Tine Evelien Annelies
    Marie-Thérèse Anne-Mie Leen Kaat Joke Griet Mieke Liesbeth Nathalie Isabelle Sandra Kristel Wendy Kelly
    """
)
MEN: Final = _words(
    """
    Jan Jozef Frans Louis Willy Roger Marcel Albert André Paul Luc Marc Dirk Johan Patrick Eddy Rudi Geert Koen Wim
    Bart Peter Stefaan Filip Tom Tim Jeroen Pieter Stijn Kevin Thomas Jonas Arne Robbe Senne Lars Milan Lucas Noah
    Arthur Jules Finn Adam Liam Mohamed Youssef Mehmet Piotr Ilias Wout Jens Ruben Mathias Brecht Dries Hendrik Karel
    Guido Herman Etienne Danny Ronny Gunther Joris Bram Sven Niels Kobe
    """
)
STREETS: Final = _names(
    """
    Kerkstraat, Stationsstraat, Dorpsstraat, Molenstraat, Nieuwstraat, Schoolstraat, Kapelstraat, Veldstraat,
    Hoogstraat, Kasteelstraat, Beekstraat, Steenweg op Mol, Gentsesteenweg, Antwerpsesteenweg, Brusselsesteenweg,
    Leuvensesteenweg, Lindelaan, Beukenlaan, Populierenlaan, Eikendreef, Wilgenstraat, Rozenlaan, Tulpenstraat,
    Bosstraat, Heidestraat, Duinenweg, Vaartstraat, Kanaalstraat, Sluisweg, Meersstraat, Broekstraat, Akkerstraat,
    Weidestraat, Processiestraat, Sint-Jansstraat, Sint-Annaplein, Grote Markt, Vismarkt, Koning Albertlaan,
    Koningin Astridlaan, Leopoldstraat, Guido Gezellestraat, Hendrik Consciencestraat, Lange Nieuwstraat,
    Korte Keperstraat, Oude Baan, Nieuwe Dreef, Ringlaan, Zandstraat, Kleistraat, Smidsestraat, Bakkerijstraat,
    Spinnerijstraat, Weverstraat, Vlasstraat, Fabrieksweg, Tramstraat, Spoorwegstraat, Watermolenstraat
    """
)
FLANDERS: Final = _places(
    "flanders",
    """
    2000 Antwerpen, 2018 Antwerpen, 2060 Antwerpen, 2100 Deurne, 2140 Borgerhout, 2170 Merksem, 2200 Herentals,
    2260 Westerlo, 2300 Turnhout, 2400 Mol, 2440 Geel, 2500 Lier, 2600 Berchem, 2610 Wilrijk, 2640 Mortsel,
    2660 Hoboken, 2800 Mechelen, 2850 Boom, 2900 Schoten, 2930 Brasschaat, 3000 Leuven, 3010 Kessel-Lo,
    3200 Aarschot, 3290 Diest, 3300 Tienen, 1500 Halle, 1700 Dilbeek, 1730 Asse, 1800 Vilvoorde, 1840 Londerzeel,
    3500 Hasselt, 3580 Beringen, 3600 Genk, 3620 Lanaken, 3680 Maaseik, 3700 Tongeren, 3800 Sint-Truiden,
    3900 Pelt, 3960 Bree, 8000 Brugge, 8200 Sint-Andries, 8300 Knokke-Heist, 8400 Oostende, 8500 Kortrijk,
    8600 Diksmuide, 8630 Veurne, 8700 Tielt, 8790 Waregem, 8800 Roeselare, 8900 Ieper, 9000 Gent,
    9040 Sint-Amandsberg, 9050 Gentbrugge, 9100 Sint-Niklaas, 9120 Beveren, 9160 Lokeren, 9200 Dendermonde,
    9230 Wetteren, 9300 Aalst, 9400 Ninove, 9500 Geraardsbergen, 9600 Ronse, 9700 Oudenaarde, 9800 Deinze, 9900 Eeklo
    """,
)
BRUSSELS: Final = _places(
    "brussels",
    """
    1000 Brussel, 1020 Laken, 1030 Schaarbeek, 1040 Etterbeek, 1050 Elsene, 1060 Sint-Gillis, 1070 Anderlecht,
    1080 Sint-Jans-Molenbeek, 1081 Koekelberg, 1082 Sint-Agatha-Berchem, 1083 Ganshoren, 1090 Jette, 1140 Evere,
    1150 Sint-Pieters-Woluwe, 1160 Oudergem, 1170 Watermaal-Bosvoorde, 1180 Ukkel, 1190 Vorst,
    1200 Sint-Lambrechts-Woluwe, 1210 Sint-Joost-ten-Node
    """,
)
ELSEWHERE: Final = (
    *_places("wallonia", "1300 Wavre, 1400 Nivelles, 4000 Liège, 4700 Eupen, 5000 Namur, 7700 Mouscron"),
    Place("abroad", "4561 BJ", "Hulst", "NL"),
    Place("abroad", "4501 CK", "Oostburg", "NL"),
    Place("abroad", "59000", "Lille", "FR"),
)
EMAIL_HOSTS: Final = ("voorbeeld.example", "post.example", "mail.example")
#: The first three digits of account numbers of banks that people in Flanders use.
BANK_CODES: Final = (1, 1, 1, 63, 63, 310, 363, 733, 733, 738, 747, 850, 863, 979)
